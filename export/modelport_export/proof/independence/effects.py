"""Whether computing a tensor changes anything, or follows from anything but inputs and what lies in the version.

All that may run counts: control edges are followed, and of functions every node, whether or not its result is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tensorflow.python.framework import op_def_registry

from modelport_export.proof.independence.values import Mixed

# Stateful for TensorFlow because they touch a resource, call a function or may fail; but they only read.
READERS = frozenset(
    (
        "Assert",
        "Case",
        "CheckNumerics",
        "HashTableV2",
        "If",
        "LookupTableFindV2",
        "LookupTableSizeV2",
        "Placeholder",
        "ReadVariableOp",
        "ResourceGather",
        "ResourceGatherNd",
        "StatefulPartitionedCall",
        "VarHandleOp",
        "VariableShape",
        "VariableV2",
        "While",
    )
)


def is_pure(operation: str) -> bool:
    """Whether the operation's outputs follow from its inputs, and nothing is changed; never of an unknown one."""
    definition = op_def_registry.get(operation)
    return definition is not None and not definition.is_stateful and not any(a.is_ref for a in definition.input_arg)


def find(graph_def: Any, feeds: Iterable[str], fetches: Sequence[str]) -> Mixed | None:
    """The first operation behind the fetches, as far as the feeds, that is not known to be without effects."""
    functions = {function.signature.name for function in graph_def.library.function}
    for node in nodes(graph_def, feeds, fetches):
        if not (node.op in READERS or node.op in functions or is_pure(node.op)):
            return Mixed(node.op, node.name)
    return None


def nodes(graph_def: Any, feeds: Iterable[str], fetches: Sequence[str]) -> Iterator[Any]:
    """All nodes behind the fetches, as far as the feeds, with those of the functions that they call."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    by_name = {node.name: node for node in graph_def.node}
    waiting = list(fetches)
    seen, done = set(feeds), set[str]()  # tensors, nodes
    called: list[str] = []
    while waiting:
        tensor = waiting.pop()
        name = tensor.removeprefix("^").partition(":")[0]
        if tensor in seen or name in done or name not in by_name:
            continue
        seen.add(tensor)
        done.add(name)
        node = by_name[name]
        yield node
        called += _called(node, functions)
        waiting += [source if ":" in source or source[0] == "^" else f"{source}:0" for source in node.input]
    known: set[str] = set()
    while called:
        name = called.pop()
        if name in known or name not in functions:
            continue
        known.add(name)
        for node in functions[name].node_def:
            yield node
            called += _called(node, functions)


def _called(node: Any, functions: Any) -> Iterator[str]:
    if node.op in functions:
        yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name
