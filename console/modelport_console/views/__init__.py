"""What each page shows, made of a snapshot and of the repository."""
