"""What `serving.py` is made of: the model, the servers, the load generator, the tables."""
