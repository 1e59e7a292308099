"""Which version answers: the configuration that says it, and the ways to change it."""
