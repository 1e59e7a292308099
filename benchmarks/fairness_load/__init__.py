"""What `fairness.py` is made of: a model, big requests for it, and the probes that are held up by them or not."""
