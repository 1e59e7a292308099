"""`assets.extra/report.md`: the verdict and the figures of a version's proof, for a person."""

from __future__ import annotations

from collections.abc import Iterator

from modelport import layout
from modelport.manifest import Manifest

RELATIVE_PATH = layout.REPORT


def render(manifest: Manifest) -> str:
    """The report in Markdown, from a manifest whose `proof` is filled in."""
    return "\n".join(_lines(manifest)) + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    proof = manifest.proof
    yield f"# {manifest.model}: {proof['verdict']}"
    yield ""
    yield f"Content {manifest.content_digest[:16]}. Loaded by a server in a fresh process and asked over gRPC."
    for note in proof["notes"]:
        yield f"- {note}"
    checks = [(one["name"], one["outcome"], one["sentence"], one["bound"]) for one in proof.get("checks", ())]
    yield from _table("Verdict", ("check", "outcome", "because", "bound"), checks)
    yield from _table("Signatures", ("signature", "", "name", "dtype", "shape"), signature_rows(manifest))
    rows = [
        (signature, alias, f"{error:.2g}", f"{figures['tolerance']:.0e}")
        for signature, figures in proof["parity"].items()
        for alias, error in figures["max_abs_error"].items()
    ]
    title = f"Answers compared with those of the model itself on {proof['samples']} samples"
    yield from _table(title, ("signature", "output", "largest difference", "tolerance"), rows)
    requests = [
        (signature, str(asked["requests"]), "; ".join(asked["left_out"]) or "nothing")
        for signature, asked in proof.get("asked", {}).items()
    ]
    yield from _table("Requests of the proof", ("signature", "requests", "left out"), requests)
    verdicts = [
        (signature, "yes" if verdict["independent"] else "no", verdict["reason"])
        for signature, verdict in proof["row_independence"].items()
    ]
    yield from _table("Whether rows are independent", ("signature", "independent", "because"), verdicts)
    latency, resident = proof["latency_ms"], proof["resident_mib"]
    measured = [("seconds to start and load", f"{proof['start_seconds']:.2f}")]
    if resident is not None:
        measured.append(("resident memory of the server, MiB", f"{resident:.0f}"))
    if latency:
        measured.append((f"latency of {latency['calls']} single calls, p50 ms", f"{latency['p50']:.2f}"))
        measured.append(("p99 ms", f"{latency['p99']:.2f}"))
    yield from _table("Measured", ("figure", "value"), measured)
    metrics = [(name, f"{value:.6g}") for name, value in manifest.metrics.items()]
    yield from _table("Metrics on held-out data", ("metric", "value"), metrics)
    compared = [
        (
            name,
            f"{m['value']:.6g}",
            f"{m.get('live', m.get('parent')):.6g}",
            "unknown" if m["regression"] is None else f"{m['regression']:+.3g}",
        )
        for name, m in proof["metrics"].items()
    ]
    yield from _table(
        "Compared with the live version, as their trainings measured it",
        ("metric", "this", "live", "worse by"),
        compared,
    )


def signature_rows(manifest: Manifest) -> Iterator[tuple[str, ...]]:
    """Signature, input or output, alias, dtype and shape of every tensor."""
    for name, signature in manifest.signatures.items():
        for side, aliases in signature.items():
            for alias, spec in aliases.items():
                yield (name, side[:-1], alias, spec["dtype"], str(spec["shape"]))


def _table(title: str, header: tuple[str, ...], rows: object) -> Iterator[str]:
    cells = list(rows)  # type: ignore[call-overload]
    if not cells:
        return
    yield from ("", f"## {title}", "", f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}")
    for row in cells:
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |"
