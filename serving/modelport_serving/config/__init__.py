"""What the server was told: options, flags, the files that they name, TLS and ports."""
