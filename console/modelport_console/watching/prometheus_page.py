"""A server's Prometheus page, as far as it is of use here: how many requests of each model, and how long they took.

`request_count` has every request over REST, those for a status included, and not what was asked. So answered requests
are those of `request_latency` with an API, and failed ones those of `request_count` whose status is not OK.
Source: `prometheus_exporter.cc` and `servables/tensorflow/util.cc` of TensorFlow Serving.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

COUNT, LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency_bucket"
_LINE = re.compile(r"([A-Za-z_:][\w:]*)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


@dataclass
class Totals:
    """Counts of one model since its server was started.

    Args:
        failed: requests that were not answered with OK.
        below: upper bound in microseconds → answered requests at most as long, for predictions over both ports.
    """

    failed: float = 0.0
    below: dict[float, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def answered(self) -> float:
        """All requests that were answered."""
        return self.below.get(float("inf"), 0.0)


def read(text: str) -> dict[str, Totals]:
    """The totals of every model that a page names; whoever asks for a model that is not there gives it a name, too."""
    found: dict[str, Totals] = defaultdict(Totals)
    for name, labels, value in _samples(text):
        model = labels.get("model_name", "")
        if name == COUNT and labels.get("status") != "OK":
            found[model].failed += value
        elif name == LATENCY and labels.get("API"):
            found[model].below[float(labels["le"])] += value
    return dict(found)


def _samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for line in text.splitlines():
        if not line.startswith((COUNT, LATENCY)):
            continue
        parts = _LINE.fullmatch(line)
        if parts is not None and parts[1] in (COUNT, LATENCY):
            labels = {key: _ESCAPED.sub(_unescaped, value) for key, value in _LABEL.findall(parts[2])}
            yield parts[1], labels, float(parts[3])


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]
