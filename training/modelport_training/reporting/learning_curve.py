"""The history of a training as a picture: losses on the left, metrics on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def draw(path: Path, title: str, history: Sequence[Mapping[str, float]], best_epoch: int) -> None:
    """Write a PNG; training is dashed, validation solid, and a line marks the epoch that was kept."""
    # The object interface: pyplot would keep the figure and choose a window system.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    epochs = range(1, len(history) + 1)
    names = [name for name in history[0] if f"val_{name}" in history[0]]
    panels = {"loss": [n for n in names if n.endswith("loss")], "metric": [n for n in names if not n.endswith("loss")]}
    for axes, (panel, lines) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for index, name in enumerate(lines):
            style: dict[str, Any] = {"color": f"C{index}", "marker": ".", "linewidth": 1.2}
            axes.plot(epochs, [values[name] for values in history], linestyle="--", label=f"{name}, training", **style)
            axes.plot(epochs, [values[f"val_{name}"] for values in history], label=f"{name}, validation", **style)
        axes.axvline(best_epoch, color="grey", linewidth=0.8, linestyle=":")
        axes.set(xlabel="epoch", ylabel=panel)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if lines:
            axes.legend(fontsize="small")
    figure.savefig(path, format="png", dpi=110)
