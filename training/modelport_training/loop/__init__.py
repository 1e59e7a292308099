"""The training itself: batches in, an epoch at a time, all that the next one depends on kept."""
