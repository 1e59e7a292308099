"""Requests that share runs: parameters, queues, merging, and the scheduler that runs them."""
