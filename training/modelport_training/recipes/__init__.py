"""One model a file. The name of a built-in recipe is the name of its module here."""
