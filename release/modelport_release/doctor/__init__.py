"""What is wrong with a repository, a configuration, a stack, a server or a model file. It changes nothing."""
