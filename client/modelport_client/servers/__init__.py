"""Which server is meant, and with which keys it is spoken to."""
