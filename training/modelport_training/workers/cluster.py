"""Which worker of which cluster this process is, as `TF_CONFIG` says it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from modelport.errors import InvalidArgument

VARIABLE = "TF_CONFIG"


@dataclass(frozen=True)
class Cluster:
    """The addresses of the workers, and which of them this process is.

    Args:
        workers: HOST:PORT of each; the first is the chief, which writes the run folder.
        rank: the place of this process among them.
    """

    workers: Sequence[str]
    rank: int

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run folder."""
        return self.rank == 0

    def to_json(self) -> str:
        """What `TF_CONFIG` is set to."""
        task = {"type": "worker", "index": self.rank}
        return json.dumps({"cluster": {"worker": list(self.workers)}, "task": task})


def cluster() -> Cluster | None:
    """The cluster of this process; None where it trains alone.

    Raises:
        InvalidArgument: `TF_CONFIG` is none, or of jobs that this loop does not know.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    expected = 'Expected TF_CONFIG as {"cluster": {"worker": [HOST:PORT, …]}, "task": {"type": "worker", "index": 0}}.'
    try:
        found = json.loads(text)
        jobs, task = found["cluster"], found["task"]
        # A chief beside the workers is the first of them; parameter servers are another way to train.
        workers = [*jobs.get("chief", []), *jobs.get("worker", [])]
        rank = int(task["index"]) + (len(jobs.get("chief", [])) if task["type"] == "worker" else 0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument(f"{expected} Received: {text!r} ({type(error).__name__}: {error})") from error
    if set(jobs) - {"chief", "worker"} or task["type"] not in ("chief", "worker") or not 0 <= rank < len(workers):
        raise InvalidArgument(f"{expected} Received: {text!r}")
    return Cluster(workers, rank) if len(workers) > 1 else None
