"""What is counted and written down about requests."""
