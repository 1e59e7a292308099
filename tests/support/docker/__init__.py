"""What the tests of containers share: the engine, the stack, the swarm."""
