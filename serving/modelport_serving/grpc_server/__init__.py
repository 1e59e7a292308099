"""The gRPC port: bytes in, one call of the data plane, bytes out."""
