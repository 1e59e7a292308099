"""Carrying out steps: by waiting, and by awaiting."""
