"""The REST routes of each model as an OpenAPI document."""
