"""The command line of release."""
