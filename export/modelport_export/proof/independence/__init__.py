"""Whether the rows of a request are independent: proven at publishing, so that a server need not guess.

`graph_rows` proves it from the written graph, `runs` tries to contradict it through a real server; a signature is named
in the manifest when neither objects.

values ← node ← the rules (elementwise, contractions, axes, shapes, slicing, lists) ← loops ← walk ← graph_rows
"""
