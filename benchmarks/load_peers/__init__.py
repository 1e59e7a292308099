"""What the load generator is measured against."""
