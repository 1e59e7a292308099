"""Changes, by `modelport_release` alone: what would happen, and that it happens."""
