"""Situations that users reported; the table of them stands in docs/exporting.md."""
