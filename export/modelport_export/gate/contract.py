"""Whether clients of the live version can go on with the new one, and whether its graph keeps to itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from modelport import signature_changes
from modelport_export.gate.operations import effects_of
from modelport_export.gate.verdict import Check
from modelport_export.signatures import Array, Signature


def check(
    signatures: Mapping[str, Signature],
    live: Mapping[str, Signature] | None,
    live_version: int | None,
    breaking: str | None,
    fault: str = "",
) -> Check:
    """Hold the signatures against the live version's.

    Args:
        signatures: of the new version.
        live: of the live one; None where there is none, or where they cannot be read.
        live_version: its number; None where there is no version yet.
        breaking: why a change that breaks clients is meant; None where it is not.
        fault: why they cannot be read.
    """
    if live_version is None:
        return Check("contract", "passed", "It is the first version: there are no clients yet that it could break.")
    if live is None:
        sentence = f"Whether clients of version {live_version}, which is live, can go on is not known: {fault}"
        return Check("contract", "warning", sentence)
    before, after = _plain(live), _plain(signatures)
    broken = signature_changes.breaking(before, after)
    new = signature_changes.additions(before, after)
    figures: dict[str, Any] = {"breaking": broken, "new": new}
    bound = f"the signatures of version {live_version}"
    if not broken:
        more = f" New: {'; '.join(new)}." if new else ""
        return Check(
            "contract", "passed", f"Clients of version {live_version} can go on as they are.{more}", bound, figures
        )
    if breaking is not None:
        sentence = f"Declared as breaking ({breaking}): {' '.join(broken)}"
        return Check("contract", "warning", sentence, bound, {**figures, "declared": breaking})
    sentence = (
        f"Clients of version {live_version}, which is live, would fail: {' '.join(broken)} Keep the signature, publish "
        'under another name, or declare it: --breaking "why".'
    )
    return Check("contract", "refused", sentence, bound, figures)


def check_labels(
    mine: Mapping[str, Array] | None, live: Mapping[str, Array] | None, live_version: int | None, breaking: str | None
) -> Check | None:
    """Refuse an image classifier whose classes are called otherwise than the live version's; None where it is not one.

    Args:
        mine: answers of the new version to some rows, by output.
        live: answers of the live one to the same rows.
        live_version: its number.
        breaking: see `check`.
    """
    wanted = {"class_id", "label"}
    if mine is None or live is None or not (wanted <= mine.keys() and wanted <= live.keys()):
        return None
    same = mine["class_id"] == live["class_id"]
    other = np.flatnonzero(same & (mine["label"] != live["label"]))
    bound = f"the labels of version {live_version}"
    if not len(other):
        return Check("contract", "passed", f"Its classes are called as those of version {live_version}.", bound)
    first = int(other[0])
    sentence = (
        f"Class {int(mine['class_id'][first])} was called {live['label'][first].decode()!r} in version {live_version} "
        f"and is called {mine['label'][first].decode()!r}."
    )
    if breaking is not None:
        told = f"Declared as breaking ({breaking}): {sentence}"
        return Check("contract", "warning", told, bound, {"declared": breaking})
    hint = 'Give the labels in the order of the classes, or declare it: --breaking "why".'
    return Check("contract", "refused", f"{sentence} {hint}", bound)


def check_operations(meta_graph: Any, allowed: Collection[str]) -> Check:
    """Name the operations that reach out of the graph, and refuse those that were not allowed."""
    found = effects_of(meta_graph)
    figures = {"effects": found}
    refused = {op: what for op, what in found.items() if op not in allowed}
    if refused:
        listed = ", ".join(f"{op} ({what})" for op, what in refused.items())
        sentence = (
            f"Its graph reaches out of the model: {listed}. A server would do that for every client. Take it out of "
            f"the model, or allow it: {' '.join(f'--allow-op {op}' for op in refused)}."
        )
        return Check(
            "contract", "refused", sentence, "no operation that reads or writes files or runs programs", figures
        )
    if found:
        return Check("contract", "warning", f"Allowed to reach out of the model: {', '.join(found)}.", "", figures)
    return Check(
        "contract",
        "passed",
        "Every operation is known to the TensorFlow that was asked, and none reads or writes files or runs programs.",
        "",
        figures,
    )


def _plain(signatures: Mapping[str, Signature]) -> dict[str, Any]:
    return {name: signature.to_dict() for name, signature in signatures.items()}
