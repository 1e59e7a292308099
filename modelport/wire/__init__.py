"""The wire format of the TensorFlow Serving API: messages in a private pool, and stubs made from descriptors."""
