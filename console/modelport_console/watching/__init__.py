"""One look at the servers and the repository for all viewers, again and again."""
