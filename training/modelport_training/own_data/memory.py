"""How much memory there is for examples."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

# Of the memory that is free: the examples lie there as arrays and as tensors, a permutation copies them for a moment,
# and the model wants its part.
_SHARE = 1 / 4


def has_room_for(size: int) -> bool:
    """Whether so many bytes of examples may lie in memory; else they are read from the disk for every epoch."""
    return size <= _free() * _SHARE


def _free() -> int:
    limits = [os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with suppress(OSError, ValueError, IndexError):  # what page caches would give back counts as free
        text = Path("/proc/meminfo").read_text()
        limits = [int(text.split("MemAvailable:")[1].split()[0]) * 1024]
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY:
            limits.append(max(0, limit - _used(kind)))
    with suppress(OSError, ValueError):  # of a container
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits)


def _used(kind: int) -> int:
    """What counts against a limit of this process."""
    with suppress(OSError, ValueError, IndexError):
        name = "VmSize:" if kind == resource.RLIMIT_AS else "VmData:"
        return int(Path("/proc/self/status").read_text().split(name)[1].split()[0]) * 1024
    return 0
