"""What a person sees of a version on the terminal: signatures, figures of the proof, requests to paste."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from modelport.manifest import Manifest
from modelport_export import usage
from modelport_export.report import RELATIVE_PATH, signature_rows


def show(manifest: Manifest, folder: Path, title: str) -> None:
    """Print a version.

    Args:
        manifest: the version's, with its proof.
        folder: the version's.
        title: the first line.
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
    worst: dict[str, float] = {name: max(p["max_abs_error"].values()) for name, p in proof["parity"].items()}
    for name, error in worst.items():
        print(f"parity    {name}: differs from Keras by {error:.2g} at most, on {proof['samples']} samples")
    latency = proof["latency_ms"]
    if latency:
        print(
            f"latency   p50 {latency['p50']:.2f} ms, p99 {latency['p99']:.2f} ms over {latency['calls']} single calls"
        )
    if proof["resident_mib"] is not None:
        print(f"memory    {proof['resident_mib']:.0f} MiB resident in the server")
    for name, row in proof["metrics"].items():
        print(f"metric    {name} {row['value']:.4g}, newest version {row['parent']:.4g}")
    print("seconds   " + ", ".join(f"{step} {seconds:.2f}" for step, seconds in proof["seconds"].items()))
    for note in proof["notes"]:
        print(f"note      {note}")
    print(f"report    {folder / RELATIVE_PATH}")
    curl = usage.curl_line(manifest.model, folder)
    if curl is not None:
        print(f"\n{curl}")
    print(f"\n{usage.python_call(manifest)}")
