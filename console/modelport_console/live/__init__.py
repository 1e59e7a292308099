"""Pages whose values go on changing while they are open."""
