"""Which kinds of operations stand behind the tensors of a graph, functions included; and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from modelport_serving.lean_tensorflow import op_def_registry, tensor_util

# Stateful for TensorFlow, because they touch a resource or call a function, but they only read.
_HARMLESS = frozenset(
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
# How long these take may follow from the values of their inputs, and not from their sizes alone.
_OPEN_ENDED = frozenset({"While", "StatelessWhile", "For", "LoopCond", "Enter", "Recv", "PyFunc", "EagerPyFunc"})
_OPEN_ENDED_BEGINNINGS = ("Map", "ParallelMap", "Reduce", "Queue", "Iterator", "Barrier", "Stage", "Read", "Xla")


_REDUCTIONS = frozenset({"Sum", "Mean", "Max", "Min", "Prod", "All", "Any", "ArgMax", "ArgMin", "Cumsum", "Cumprod"})
# These make one tensor of many rows whose size follows from what is in the others, or look for what rows share.
_ROW_MIXERS = (
    "Ragged",
    "StringSplit",
    "UnicodeDecode",
    "Unique",
    "Where",
    "SparseToDense",
    "SparseReshape",
    "Bincount",
)
_MIXES_ROWS = "(a reduction over rows)"


class _Function(NamedTuple):
    kinds: frozenset[str]
    calls: frozenset[str]


class Operations:
    """The operations of a loaded graph.

    Args:
        graph: the graph.
        library: the functions of its GraphDef; only what is needed of them is kept.
    """

    def __init__(self, graph: Any, library: Iterable[Any]) -> None:
        self._graph = graph
        self._functions = {
            function.signature.name: _Function(
                _kinds(function.node_def),
                frozenset(name for node in function.node_def for name in _called(node)),
            )
            for function in library
        }

    def behind(self, tensors: Sequence[str]) -> frozenset[str]:
        """The kinds of all operations that computing these tensors may run.

        Everything in a function that is called counts, whether or not its result is used.
        """
        kinds: set[str] = set()
        called: list[str] = []
        waiting = [self._graph.get_tensor_by_name(name).op for name in tensors]
        seen = set(waiting)
        constants = _Constants(self._graph)
        while waiting:
            operation = waiting.pop()
            kinds |= _kinds([operation.node_def], constants)
            called += _called(operation.node_def)
            before = {tensor.op for tensor in operation.inputs} | set(operation.control_inputs)
            waiting += before - seen
            seen |= before
        known = set(called)
        while called:
            function = self._functions.get(called.pop())
            if function is not None:
                kinds |= function.kinds
                called += function.calls - known
                known |= function.calls
        return frozenset(kinds)


def keep_state(kinds: frozenset[str]) -> bool:
    """Whether any of these kinds may change, or depend on, anything but its inputs: variables written, random numbers,
    queues. Reading variables and tables is no such thing."""
    return any(_is_stateful(kind) for kind in kinds - _HARMLESS - {_MIXES_ROWS})


def mix_rows(kinds: Iterable[str]) -> bool:
    """Whether what these kinds make of a row may depend on the rows beside it."""
    return any(kind == _MIXES_ROWS or kind.startswith(_ROW_MIXERS) for kind in kinds)


def are_open_ended(kinds: Iterable[str]) -> bool:
    """Whether any of these kinds may take any time, whatever the sizes of its inputs are."""
    return any(
        kind in _OPEN_ENDED or kind.startswith(_OPEN_ENDED_BEGINNINGS) for kind in kinds if kind != "ReadVariableOp"
    )


class _Constants:
    """The constant nodes of a graph by name, looked up when asked."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def get(self, name: str) -> Any:
        try:
            node = self._graph.get_operation_by_name(name).node_def
        except (KeyError, ValueError):
            return None
        return node if node.op == "Const" else None


def _kinds(nodes: Iterable[Any], constants: Any = None) -> frozenset[str]:
    """The nodes' kinds, and a mark where one of them reduces over the first dimension, or over which is not known."""
    nodes = list(nodes)
    known = {node.name: node for node in nodes if node.op == "Const"} if constants is None else constants
    kinds = {node.op for node in nodes}
    if any(node.op in _REDUCTIONS and _reduces_rows(node, known) for node in nodes):
        kinds.add(_MIXES_ROWS)
    return frozenset(kinds)


def _reduces_rows(node: Any, constants: Any) -> bool:
    inputs = [name for name in node.input if not name.startswith("^")]
    axes = constants.get(inputs[1].partition(":")[0]) if len(inputs) > 1 else None
    return axes is None or 0 in tensor_util.MakeNdarray(axes.attr["value"].tensor).reshape(-1).tolist()


def _called(node: Any) -> Iterable[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _is_stateful(kind: str) -> bool:
    definition = op_def_registry.get(kind)
    return definition is None or bool(definition.is_stateful)  # of an unknown operation nothing good is known
