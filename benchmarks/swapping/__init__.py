"""What `swaps.py` is made of: the versions, and the load that watches them change."""
