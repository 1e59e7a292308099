"""What the client is measured against."""
