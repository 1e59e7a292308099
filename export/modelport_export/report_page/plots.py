"""The drawings of a report, as SVG that stands in the page, light or dark."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

INK = "#8a8f98"  # of axes and words: readable on white and on black
THIS, OTHER = "#2f81f7", "#d29922"  # of the version, and of what it is held against
_SIZE = (4.4, 2.9)  # inches, at 72 points each: it fits into a phone's width
_MOST_NAMED = 20  # classes whose names stand at the axes
_MOST_LETTERS = 14  # of such a name: a longer one leaves no room for the drawing


class Missing(Exception):
    """matplotlib is not installed."""


def learning_curve(epochs: Sequence[Mapping[str, float]]) -> str:
    """Losses by epoch."""
    figure, axes = _figure("epoch", "loss")
    numbers = range(1, len(epochs) + 1)
    for key, name, color in (("loss", "training", OTHER), ("val_loss", "validation", THIS)):
        values = [epoch.get(key) for epoch in epochs]
        if any(value is not None for value in values):
            axes.plot(numbers, [float("nan") if v is None else v for v in values], color=color, label=name)
    axes.legend(frameon=False, labelcolor=INK)
    return _svg(figure)


def confusion(table: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Classes as they are, down; as they are told, across; shares of each row."""
    import numpy as np

    counts = np.array(table, float)
    figure, axes = _figure("answered", "is", (4.4, 4.0))
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    if len(table) <= _MOST_NAMED:
        names = [_short(labels[number] if number < len(labels) else str(number)) for number in range(len(table))]
        axes.set_xticks(range(len(table)), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(len(table)), names)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                share = count / counts[row].sum()
                axes.text(column, row, int(count), ha="center", va="center", color="white" if share > 0.5 else INK)
    return _svg(figure)


def calibration(bins: Sequence[Mapping[str, float]]) -> str:
    """How often the answer is right, by how sure it is."""
    figure, axes = _figure("how sure it is", "how often it is right")
    axes.plot([0, 1], [0, 1], color=INK, linestyle=":")
    sizes = [20 + 60 * one["rows"] / max(each["rows"] for each in bins) for one in bins]
    axes.scatter([one["confidence"] for one in bins], [one["accuracy"] for one in bins], s=sizes, color=THIS)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.05)
    return _svg(figure)


def predicted(truth: Sequence[float], told: Sequence[float]) -> str:
    """Numbers as they are, across; as they are answered, up."""
    figure, axes = _figure("is", "answered")
    ends = [min(min(truth), min(told)), max(max(truth), max(told))]
    axes.plot(ends, ends, color=INK, linestyle=":")
    axes.scatter(truth, told, s=6, alpha=0.5, color=THIS)
    return _svg(figure)


def residuals(truth: Sequence[float], told: Sequence[float]) -> str:
    """By how much answers are off."""
    figure, axes = _figure("answered, less what it is", "rows")
    axes.hist([after - before for before, after in zip(truth, told, strict=True)], bins=40, color=THIS)
    axes.axvline(0, color=INK, linestyle=":")
    return _svg(figure)


def latencies(calls: Mapping[str, Sequence[float]], live: int | None) -> str:
    """Single calls of this version and of the live one."""
    figure, axes = _figure("ms of a single call", "calls")
    for key, name, color in (("this", "this version", THIS), ("live", f"version {live}", OTHER)):
        if calls.get(key):
            axes.hist(calls[key], bins=24, histtype="step", color=color, label=name)
    axes.legend(frameon=False, labelcolor=INK)
    return _svg(figure)


def _short(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"


def _figure(across: str, up: str, size: tuple[float, float] = _SIZE) -> tuple[Any, Any]:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Missing from error
    style = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    with rc_context({**style, "svg.fonttype": "none", "svg.hashsalt": "modelport", "font.size": 9}):
        figure = Figure(size, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
    return figure, axes


def _svg(figure: Any) -> str:
    from matplotlib import rc_context

    made = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "modelport", "text.color": INK}):
        figure.savefig(made, format="svg", transparent=True, metadata={"Date": None})
    text = made.getvalue()
    return text[text.index("<svg") :]
