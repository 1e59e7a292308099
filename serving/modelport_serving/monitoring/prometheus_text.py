"""Counters and histograms and their text, as TensorFlow Serving's `prometheus_exporter.cc` writes it.

prometheus_client appends `_total` to the names of counters and allows no other; the dashboards of the real server's
users name them without.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

_MAX_CELLS = 1000  # of one metric: clients choose model names, and each new one takes memory for good
_OTHER = "other"

Labels = tuple[str, ...]


class Metric:
    """What all kinds share: a name, names of labels, and a cell for each set of label values. Thread-safe."""

    kind = ""

    def __init__(self, name: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.labels = tuple(labels)
        self._lock = threading.Lock()

    def lines(self) -> Iterator[str]:
        """The cells in the text format."""
        raise NotImplementedError

    def text(self) -> str:
        """The metric with its TYPE line, which is there even before there is a cell."""
        return "\n".join([f"# TYPE {self.name} {self.kind}", *self.lines(), ""])

    def _line(self, suffix: str, values: Labels, number: float, le: str = "") -> str:
        pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(self.labels, values, strict=True)]
        if le:
            pairs.append(f'le="{le}"')
        braces = "{" + ",".join(pairs) + "}" if pairs else "{}"
        return f"{self.name}{suffix}{braces} {number:.17g}"


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, labels)
        self._cells: dict[Labels, float] = {}

    def add(self, *values: str, by: float = 1) -> None:
        """Count once, or `by`, for these label values."""
        with self._lock:
            if values not in self._cells and len(self._cells) >= _MAX_CELLS:
                values = (_OTHER,) * len(values)
            self._cells[values] = self._cells.get(values, 0) + by

    def lines(self) -> Iterator[str]:
        """One line a cell."""
        with self._lock:
            cells = dict(self._cells)
        return (self._line("", values, number) for values, number in cells.items())


class Gauge(Metric):
    """Numbers that are looked up when the page is asked for."""

    kind = "gauge"

    def __init__(self, name: str, labels: Sequence[str], look: Callable[[], Mapping[Labels, float]]) -> None:
        super().__init__(name, labels)
        self._look = look

    def lines(self) -> Iterator[str]:
        """One line a cell."""
        return (self._line("", values, number) for values, number in self._look().items())


class Histogram(Metric):
    """How often values fell below each of some bounds.

    Args:
        bounds: ascending; values equal to a bound are counted under it.
    """

    kind = "histogram"

    def __init__(self, name: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, labels)
        self._bounds = tuple(bounds)
        self._cells: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, value: float, *values: str) -> None:
        """Count a value for these label values."""
        with self._lock:
            cell = self._cells.get(values)
            if cell is None:
                if len(self._cells) >= _MAX_CELLS:
                    values = (_OTHER,) * len(values)
                cell = self._cells.setdefault(values, ([0] * (len(self._bounds) + 1), [0.0]))
            counts, total = cell
            counts[bisect_left(self._bounds, value)] += 1
            total[0] += value

    def lines(self) -> Iterator[str]:
        """Cumulative buckets, sum and count of each cell."""
        with self._lock:
            cells = {values: (list(counts), total[0]) for values, (counts, total) in self._cells.items()}
        for values, (counts, total) in cells.items():
            below = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                below += count
                yield self._line("_bucket", values, below, le="+Inf" if bound == float("inf") else f"{bound:g}")
            yield self._line("_sum", values, total)
            yield self._line("_count", values, below)


def growing(first: float, factor: float, number: int) -> list[float]:
    """Bounds that grow by a factor."""
    return [first * factor**index for index in range(number)]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
