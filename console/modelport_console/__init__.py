"""The page: what is live, tried, changed and taken back, beside any server of the API and a model repository.

It asks servers through `modelport_client` and changes things through `modelport_release` alone, so that a click is the
same as a command. Nothing here loads TensorFlow.
"""
