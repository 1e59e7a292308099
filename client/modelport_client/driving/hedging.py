"""What may be asked for twice at a time: calls that change nothing and that a prediction waits for."""

from modelport.errors import DeadlineExceeded, Unavailable

HEDGED = frozenset({"predict", "classify", "regress", "multi_inference", "metadata"})
# What one replica says that the other may not: an error of another kind is an answer.
NO_ANSWER = (Unavailable, DeadlineExceeded)
