"""Whether answering changes the model: state between calls, or random numbers, which no proof can hold for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelport.errors import FailedPrecondition
from modelport_export.endpoint import Endpoint, nodes
from modelport_export.keras_layers import layers_of

# They write into a variable, whatever leads to it.
_WRITERS = frozenset(
    (
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "AssignVariableOp",
        "RngReadAndSkip",
        "ResourceScatterAdd",
        "ResourceScatterDiv",
        "ResourceScatterMax",
        "ResourceScatterMin",
        "ResourceScatterMul",
        "ResourceScatterNdAdd",
        "ResourceScatterNdSub",
        "ResourceScatterNdUpdate",
        "ResourceScatterSub",
        "ResourceScatterUpdate",
        "ResourceStridedSliceAssign",
    )
)


def refuse_state(model: Any, endpoints: Mapping[str, Endpoint]) -> None:
    """Refuse a model that keeps state between calls, of one client or of all.

    Raises:
        FailedPrecondition: naming the layers, or the operations where no layer says so.
    """
    stateful = [layer.name for layer in layers_of(model) if getattr(layer, "stateful", False)]
    if stateful:
        raise FailedPrecondition(
            f"Expected a model without state between calls: a server mixes the requests of all clients. Received: the "
            f"layers {stateful}, made with stateful=True. Build the model with stateful=False and set its weights, or "
            "take the state as an input and give it back as an output."
        )
    for name, endpoint in endpoints.items():
        written = sorted(set(_writers(endpoint)))
        if written:
            raise FailedPrecondition(
                f"Expected a model that changes nothing when it answers: a server mixes the requests of all clients. "
                f"Received: {', '.join(written)} in {name!r}. Write to variables only when training=True; give a "
                "random layer its seed as an input, or leave it out at inference."
            )


def _writers(endpoint: Endpoint) -> Iterator[str]:
    for node in nodes(endpoint.function.graph.as_graph_def()):
        if node.op in _WRITERS:
            yield f"{node.op} ({node.name!r})"
