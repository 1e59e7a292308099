"""One process of a load: it sends what is due, and notes what became of it. `run` is its program."""
