"""Which stateful operations stand behind a tensor of a graph, functions included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tensorflow.python.framework import op_def_registry

# Stateful for TensorFlow, because they touch a resource or call a function, but they only read.
HARMLESS = frozenset(
    {
        "VarHandleOp",
        "ReadVariableOp",
        "ResourceGather",
        "ResourceGatherNd",
        "VariableV2",
        "Variable",
        "HashTableV2",
        "HashTable",
        "AnonymousHashTable",
        "StatefulPartitionedCall",
        "If",
        "While",
        "Case",
        "Assert",
        "Placeholder",
    }
)


def kinds_behind(graph: Any, tensors: Sequence[str]) -> set[str]:
    """The types of all stateful operations that computing these tensors may run.

    Everything in a function that is called counts, whether or not its result is used.
    """
    functions = {function.signature.name: function for function in graph.as_graph_def().library.function}
    kinds: set[str] = set()
    called: list[str] = []
    waiting = [graph.get_tensor_by_name(name).op for name in tensors]
    seen = set(waiting)
    while waiting:
        operation = waiting.pop()
        kinds.add(operation.type)
        called += _called(operation.node_def)
        before = {tensor.op for tensor in operation.inputs} | set(operation.control_inputs)
        waiting += before - seen
        seen |= before
    known = set(called)
    while called:
        function = functions.get(called.pop())
        for node in function.node_def if function is not None else ():
            kinds.add(node.op)
            fresh = set(_called(node)) - known
            known |= fresh
            called += fresh
    return {kind for kind in kinds if _is_stateful(kind)}


def _called(node: Any) -> Iterable[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _is_stateful(kind: str) -> bool:
    definition = op_def_registry.get(kind)
    return definition is None or bool(definition.is_stateful)  # of an unknown operation nothing good is known
