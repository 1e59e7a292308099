"""The REST port: HTTP/1.1, routes, bodies and their JSON."""
