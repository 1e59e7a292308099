"""What a person sees of a version on the terminal: signatures, figures of the proof, requests to paste."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
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
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False)
    print(title)
    signatures = Table("signature", "", "name", "dtype", "shape")
    for row in signature_rows(manifest):
        signatures.add_row(*row)
    console.print(signatures)
    proof = manifest.proof
    if not proof:  # equal content that something other than this exporter put there
        return
    if new:
        _show_figures(proof)
    print(f"report    {folder / RELATIVE_PATH}")
    curl = usage.curl_line(manifest.model, folder)
    if curl is not None:
        print(f"\n{curl}")
    if manifest.signatures:
        print(f"\n{usage.python_call(manifest)}")


def show_checks(checks: Sequence[Mapping[str, Any]]) -> None:
    """Print the checks of a verdict, a sentence each, in their order."""
    for check in checks:
        mark = {"passed": "ok", "reported": "-", "warning": "WARNING", "refused": "REFUSED"}[check["outcome"]]
        print(f"{check['name']:<9} {mark:<8} {check['sentence']}")


def _show_figures(proof: Mapping[str, Any]) -> None:
    show_checks(proof["checks"])
    for name, verdict in proof["row_independence"].items():
        independent = "independent" if verdict["independent"] else "not proven independent"
        print(f"rows      {name}: {independent}, {verdict['reason']}")
    print("seconds   " + ", ".join(f"{step} {seconds:.2f}" for step, seconds in proof["seconds"].items()))
    for note in proof["notes"]:
        print(f"note      {note}")
