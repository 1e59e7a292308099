"""Trying a model: a form of its signature, the answer of one version or of two, and the request to paste."""
