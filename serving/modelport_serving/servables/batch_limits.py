"""How requests for one loaded version are put together into runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchLimits:
    """What BatchingParameters say of a version, checked (`batching.parameters`)."""

    max_rows: int  # of one request, and of what is merged
    max_run_rows: int  # of one run; smaller than `max_rows` only where requests may be split
    timeout_s: float = 0.0  # how long a run that is not full waits for company
    max_batches: int = 2**31  # that may wait, for each queue
    sizes: tuple[int, ...] = ()  # runs are padded up to the next of these; empty: not at all
    pad: bool = False  # make inputs of different inner shapes equal
    splits: bool = False
    asked: bool = True  # by --enable_batching: what cannot be merged is then an error, as in the real server
