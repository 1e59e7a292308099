"""What a person sees of a version on the terminal: signatures, figures of the proof, requests to paste."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from modelport.manifest import Manifest
from modelport_export import usage
from modelport_export.report import RELATIVE_PATH, signature_rows


def show(manifest: Manifest, folder: Path, title: str, *, new: bool = True) -> None:
    """Print a version.

    Args:
        manifest: the version's, with its proof.
        folder: the version's.
        title: the first line.
        new: whether it was made and measured just now; of one that was there already the figures are in the report.
    """
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    print(title)
    signatures = Table("signature", "", "name", "dtype", "shape")
    for row in signature_rows(manifest):
        signatures.add_row(*row)
    console.print(signatures)
    proof = manifest.proof
    if not proof:  # equal content that something other than this exporter put there
        return
    if new:
        _show_figures(proof, manifest.parent_version)
    print(f"report    {folder / RELATIVE_PATH}")
    curl = usage.curl_line(manifest.model, folder)
    if curl is not None:
        print(f"\n{curl}")
    print(f"\n{usage.python_call(manifest)}")


def _show_figures(proof: Mapping[str, Any], parent: int | None) -> None:
    worst: dict[str, float] = {name: max(p["max_abs_error"].values()) for name, p in proof["parity"].items()}
    for name, error in worst.items():
        print(f"parity    {name}: differs from the model by {error:.2g} at most, on {proof['samples']} samples")
    latency = proof["latency_ms"]
    if latency:
        print(
            f"latency   p50 {latency['p50']:.2f} ms, p99 {latency['p99']:.2f} ms over {latency['calls']} single calls"
        )
    for name, verdict in proof["row_independence"].items():
        independent = "independent" if verdict["independent"] else "not proven independent"
        print(f"rows      {name}: {independent}, {verdict['reason']}")
    if proof["resident_mib"] is not None:
        print(f"memory    {proof['resident_mib']:.0f} MiB resident in the server")
    for name, row in proof["metrics"].items():
        worse = f", worse by {row['regression']:.2g}" if (row["regression"] or 0) > 0 else ""
        before = "the version before" if parent is None else f"version {parent}"
        print(f"metric    {name} {row['value']:.4g}, in {before} {row['parent']:.4g}{worse}")
    print("seconds   " + ", ".join(f"{step} {seconds:.2f}" for step, seconds in proof["seconds"].items()))
    for note in proof["notes"]:
        print(f"note      {note}")
