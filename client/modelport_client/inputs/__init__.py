"""From what a user holds to what goes over the wire, the same for all transports."""
