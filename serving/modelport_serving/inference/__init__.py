"""The data plane: one method an RPC, in the API's own messages and in arrays."""
