"""Whether a signature's graph shows that the answer to a row never follows from the other rows of its request.

The proof holds for requests that fit the signature's shapes, joined with others of the same dtypes and of equal sizes
but for the first dimension. What it does not know it does not pass: an operation without a rule, a size that is not
known, an output that does not follow the rows.
"""

from __future__ import annotations

from typing import Any

from modelport_export.proof.independence import effects
from modelport_export.proof.independence.flattening import Leaf, flatten_graph
from modelport_export.proof.independence.loops import LOOPS
from modelport_export.proof.independence.values import ROWS, Mixed, Rows, Value
from modelport_export.proof.independence.walk import Walk


def objection(meta_graph: Any, signature: str) -> str | None:
    """What keeps the graph from proving that rows are independent; None when it proves it.

    Args:
        meta_graph: a MetaGraphDef of a SavedModel, as written.
        signature: the name of one of its signatures.
    """
    definition = meta_graph.signature_def[signature]
    inputs, outputs = dict(definition.inputs), dict(definition.outputs)
    if not inputs:
        return "it has no inputs"
    for alias, info in sorted(inputs.items()):
        reason = _no_rows(info)
        if reason:
            return f"input {alias!r} {reason}"
    for alias, info in sorted(outputs.items()):
        if info.WhichOneof("encoding") != "name":
            return f"output {alias!r} is not a dense tensor"
    feeds = {info.name: Leaf(info.dtype, info.tensor_shape) for info in inputs.values()}
    fetches = sorted((alias, info.name) for alias, info in outputs.items())
    effect = effects.find(meta_graph.graph_def, feeds, [name for _, name in fetches])
    if effect is not None:
        return f"the operation {effect} is not known to be without effects"
    try:
        flat = flatten_graph(meta_graph.graph_def, feeds, [name for _, name in fetches])
        given: dict[Any, Value] = {tensor.op: ROWS for tensor in flat.arguments}
        found = Walk(meta_graph.graph_def.library).values(given, flat.results)
    except Exception as error:  # whatever a foreign graph holds: it is not proven, and can be published all the same
        return f"its graph cannot be followed ({type(error).__name__}): {error}"
    for (alias, _), value in zip(fetches, found, strict=True):
        reason = _not_rows(value)
        if reason:
            return f"output {alias!r} {reason}"
    return None


def has_loops(meta_graph: Any, signature: str) -> bool:
    """Whether a signature's graph has a loop, whose turns may follow from values; of one that is proven."""
    definition = meta_graph.signature_def[signature]
    feeds = [info.name for info in definition.inputs.values()]
    fetches = [info.name for info in definition.outputs.values()]
    return any(node.op in LOOPS for node in effects.nodes(meta_graph.graph_def, feeds, fetches))


def _no_rows(info: Any) -> str | None:
    if info.WhichOneof("encoding") != "name":
        return "is not a dense tensor"
    if info.tensor_shape.unknown_rank:
        return "has an unknown number of dimensions"
    if not info.tensor_shape.dim:
        return "is a scalar: it has no rows"
    first = info.tensor_shape.dim[0].size
    return f"has a fixed number of rows, {first}" if first >= 0 else None


def _not_rows(value: Value) -> str | None:
    if value == ROWS:
        return None
    if isinstance(value, Mixed):
        return f"follows from {value}, of which it is not known that it keeps rows apart"
    if isinstance(value, Rows):
        return "does not have the rows of the request as its first dimension, one for one"
    return "does not follow the rows of the request: it is not as long as they are"
