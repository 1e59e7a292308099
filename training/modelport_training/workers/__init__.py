"""Training by several processes, on this machine or on several: the same batches, each worker its part of each."""
