"""Which versions are served: source, policy, manager, states; knows nothing of TensorFlow and of requests."""
