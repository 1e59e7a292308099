"""The client's subcommands."""
