"""The drawings, as SVG that stands in the page, light or dark. They need matplotlib, of the extra `report`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from modelport_client.loadtest.found import Found
from modelport_client.loadtest.results.histogram import Histogram
from modelport_client.loadtest.results.timeline import Second

INK = "#8a8f98"  # of axes and words: readable on white and on black
COLORS = ("#2f81f7", "#d29922", "#3fb950", "#f85149")
_SIZE = (6.4, 3.2)  # inches, at 72 points each
_BEYOND_POINTS = (0, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99)


def rates(seconds: Sequence[Second]) -> str:
    """Requests due, answered and failed in each second."""
    figure, axes = _figure("second", "requests")
    across = [one.second for one in seconds]
    for name, color in (("due", COLORS[1]), ("answered", COLORS[0]), ("failed", COLORS[3])):
        axes.step(across, [getattr(one, name) for one in seconds], where="mid", color=color, label=name)
    axes.set_ylim(bottom=0)
    return _svg(figure, axes)


def latencies(seconds: Sequence[Second]) -> str:
    """Percentiles in each second."""
    figure, axes = _figure("second", "ms")
    across = [one.second for one in seconds]
    for name, color in (("p50_ms", COLORS[0]), ("p99_ms", COLORS[1]), ("longest_ms", COLORS[3])):
        values = [getattr(one, name) for one in seconds]
        axes.plot(across, [float("nan") if v is None else v for v in values], color=color, label=name[:-3])
    axes.set_yscale("log")
    _plain_numbers(axes.yaxis)
    return _svg(figure, axes)


def percentiles(histograms: Mapping[str, Histogram]) -> str:
    """Latency by percentile, stretched towards the tail."""
    figure, axes = _figure("of a hundred requests", "ms")
    for (name, histogram), color in zip(histograms.items(), cycle(COLORS), strict=False):
        shown = [p for p in _BEYOND_POINTS if histogram.count * (100 - p) >= 100]
        values = [(histogram.at(p) or 0.0) * 1e3 for p in shown]
        axes.plot([100 / (100 - p) for p in shown], values, marker=".", color=color, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([100 / (100 - p) for p in _BEYOND_POINTS], [f"{p:g}" for p in _BEYOND_POINTS])
    axes.minorticks_off()
    _plain_numbers(axes.yaxis)
    return _svg(figure, axes)


def against_rate(founds: Mapping[str, Found]) -> str:
    """Latency against rate: every run of a search, and the bound."""
    figure, axes = _figure("requests a second", "ms")
    for (name, found), color in zip(founds.items(), cycle(COLORS), strict=False):
        for holds, marker in ((True, "o"), (False, "x"), (None, "1")):
            tries = [one for one in found.tries if one.holds is holds and one.latency_s is not None]
            if tries:
                words = {True: "holds", False: "does not", None: "says nothing"}[holds]
                points = [one.rate for one in tries], [(one.latency_s or 0.0) * 1e3 for one in tries]
                axes.scatter(*points, marker=marker, color=color, label=f"{name} {words}".strip())
        axes.axhline(found.bound.seconds * 1e3, color=INK, linestyle=":")
        if found.rate is not None:
            axes.axvline(found.rate, color=color, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_numbers(axes.xaxis)
    _plain_numbers(axes.yaxis)
    return _svg(figure, axes)


def _plain_numbers(axis: Any) -> None:
    """20, 50, 100 on a logarithmic axis, not powers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _figure(across: str, up: str) -> tuple[Any, Any]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    with rc_context({**style, "svg.fonttype": "none", "svg.hashsalt": "modelport", "font.size": 9}):
        figure = Figure(_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
    return figure, axes


def _svg(figure: Any, axes: Any) -> str:
    from matplotlib import rc_context

    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, labelcolor=INK)
    made = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "modelport", "text.color": INK}):
        figure.savefig(made, format="svg", transparent=True, metadata={"Date": None})
    text = made.getvalue()
    return text[text.index("<svg") :]
