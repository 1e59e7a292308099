"""What the client asks for and in which order, without any connection: the same for `Client` and `AsyncClient`."""
