"""What may be asked for twice at a time: calls that change nothing and are asked often."""

HEDGED = frozenset({"predict", "classify", "regress", "multi_inference"})
