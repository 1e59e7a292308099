"""Loaded versions: a SavedModel in a session, and what is needed to load one."""
