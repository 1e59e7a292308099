"""How one server is spoken to: what goes over the wire for each call, and the four ways to carry it."""
