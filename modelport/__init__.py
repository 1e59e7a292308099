"""The contract that all parts of modelport stand on: errors, repository, server configuration, wire, tensors.

Imports no TensorFlow and none of the other parts. The parts are `modelport_training`, `modelport_export`,
`modelport_serving` and `modelport_client`.
"""

__version__ = "0.1.0"
