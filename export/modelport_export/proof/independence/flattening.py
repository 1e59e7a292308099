"""One flat graph of what a signature computes, with the bodies of called functions in place of the calls.

TensorFlow infers the static shapes of a flat graph as far as they can be known. Control edges are left out (`effects`
looks at them) and so are attributes that only advise the runtime, recorded shapes among them. Loops and branches stay
operations whose bodies are flattened on their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.python.framework import op_def_registry

_DEEPEST = 200  # slashes in the names of nodes that stand in called functions; Python's stack allows some 300 calls
CALLS = frozenset(("StatefulPartitionedCall", "PartitionedCall"))


class Leaf(NamedTuple):
    """What stands for one argument: a Placeholder of this dtype and shape, or a copy of a node without inputs."""

    dtype: Any
    shape: Any
    node: Any = None


class Flat(NamedTuple):
    """A flat graph, the tensors of its leaves and those that were asked for."""

    graph: Any
    arguments: list[Any]
    results: list[Any]


def flatten_graph(graph_def: Any, feeds: Mapping[str, Leaf], fetches: Sequence[str]) -> Flat:
    """Flatten what computes these tensors (`name:0`) of a GraphDef; the feeds are leaves, whatever they are there.

    Raises:
        ValueError: the graph has loops of its own, or TensorFlow cannot import it.
    """
    flattener = _Flattener(graph_def.library)
    arguments = flattener.leaves(feeds.values())
    results = flattener.scope("", graph_def.node, dict(zip(feeds, arguments, strict=True)), fetches)
    return flattener.finish(arguments, results)


def flatten_function(library: Any, name: str, leaves: Sequence[Leaf]) -> Flat:
    """Flatten the body of a function of the library; one leaf for each argument.

    Raises:
        ValueError: as above.
    """
    flattener = _Flattener(library)
    arguments = flattener.leaves(leaves)
    return flattener.finish(arguments, flattener.body("", name, arguments))


class _Flattener:
    def __init__(self, library: Any) -> None:
        self._functions = {function.signature.name: function for function in library.function}
        self._library = library
        self._graph_def = GraphDef()

    def leaves(self, leaves: Iterable[Leaf]) -> list[str]:
        """Add the leaves; the names of their tensors."""
        names = []
        for number, leaf in enumerate(leaves):
            node = self._graph_def.node.add()
            if leaf.node is not None:
                _copy(leaf.node, node)
            else:
                node.op = "Placeholder"
                node.attr["dtype"].type = tf.as_dtype(leaf.dtype).as_datatype_enum
                node.attr["shape"].shape.CopyFrom(tf.TensorShape(leaf.shape).as_proto())
            node.name = f".argument/{number}"
            names.append(f"{node.name}:0")
        return names

    def body(self, prefix: str, name: str, arguments: Sequence[str]) -> list[str]:
        """Add the body of a function; the names of the tensors that it returns."""
        function = self._functions.get(name)
        if function is None:
            raise ValueError(f"the function {name!r} is not in the graph's library")
        if prefix.count("/") > _DEEPEST:
            raise ValueError(f"the function {name!r} calls itself, or functions call one another too deeply")
        nodes = {node.name: node for node in function.node_def}
        known = {f"{arg.name}:0": given for arg, given in zip(function.signature.input_arg, arguments, strict=True)}
        plain = []
        for node in function.node_def:
            copy = type(node)()
            copy.CopyFrom(node)
            del copy.input[:]
            copy.input.extend(self._plain(source, nodes) for source in node.input)
            plain.append(copy)
        returned = [self._plain(function.ret[arg.name], nodes) for arg in function.signature.output_arg]
        return self.scope(prefix, plain, known, returned)

    def scope(self, prefix: str, node_defs: Iterable[Any], known: dict[str, str], wanted: Sequence[str]) -> list[str]:
        """Add what computes the wanted tensors; their names in the flat graph."""
        nodes = {node.name: node for node in node_defs}
        needs: dict[str, set[str]] = {}
        waiting = [_name(tensor) for tensor in wanted if tensor not in known]
        while waiting:
            name = waiting.pop()
            if name not in needs:
                if name not in nodes:
                    raise ValueError(f"there is no node {name!r}")
                sources = [s for s in map(_with_index, nodes[name].input) if s[0] != "^" and s not in known]
                needs[name] = {_name(source) for source in sources}
                waiting += needs[name]
        for name in TopologicalSorter(needs).static_order():
            node = nodes[name]
            inputs = [
                known.get(source) or f"{prefix}{source}" for source in map(_with_index, node.input) if source[0] != "^"
            ]
            called = node.attr["f"].func.name if node.op in CALLS else node.op if node.op in self._functions else ""
            if called:
                for number, result in enumerate(self.body(f"{prefix}{name}/", called, inputs)):
                    known[f"{name}:{number}"] = result
            else:
                copy = self._graph_def.node.add()
                _copy(node, copy)
                copy.name = f"{prefix}{name}"
                copy.input.extend(inputs)
        return [known.get(tensor) or f"{prefix}{tensor}" for tensor in wanted]

    def finish(self, arguments: Sequence[str], results: Sequence[str]) -> Flat:
        """Import what was added.

        TensorFlow does not infer the shape of what a table gives, though it is that of the keys wherever the default is
        a scalar. It is stated and the graph imported again, until no such shape is left open.
        """
        graph = _imported(self._graph_def)
        while shapes := _open_shapes_of_lookups(graph):
            renamed = {f"{name}:0": self._state_shape(name, shape) for name, shape in shapes.items()}
            for node in self._graph_def.node:
                if node.name not in {f"{name}/shape" for name in shapes}:
                    node.input[:] = [renamed.get(source, source) for source in node.input]
            results = [renamed.get(name, name) for name in results]
            graph = _imported(self._graph_def)
        return Flat(
            graph, [graph.get_tensor_by_name(n) for n in arguments], [graph.get_tensor_by_name(n) for n in results]
        )

    def _state_shape(self, name: str, shape: Any) -> str:
        values = next(node.attr["Tout"].type for node in self._graph_def.node if node.name == name)
        node = self._graph_def.node.add()
        node.name, node.op = f"{name}/shape", "EnsureShape"
        node.input.append(f"{name}:0")
        node.attr["T"].type = values
        node.attr["shape"].shape.CopyFrom(shape.as_proto())
        return f"{node.name}:0"

    def _plain(self, source: str, nodes: Mapping[str, Any]) -> str:
        """`node:output:1` of a function as `node:3` of a graph."""
        name, *rest = source.split(":")
        if source[0] == "^" or not rest:
            return _with_index(source)
        node = nodes[name]
        function = self._functions.get(node.op)
        definition = function.signature if function is not None else op_def_registry.get(node.op)
        if definition is None:
            raise ValueError(f"the operation {node.op!r} is not known")
        before = 0
        for arg in definition.output_arg:
            if arg.name == rest[0]:
                return f"{name}:{before + int(rest[1])}"
            if arg.type_list_attr:
                before += len(node.attr[arg.type_list_attr].list.type)
            else:
                before += node.attr[arg.number_attr].i if arg.number_attr else 1
        raise ValueError(f"the operation {node.op!r} has no output {rest[0]!r}")


def _imported(graph_def: Any) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    return graph


def _open_shapes_of_lookups(graph: Any) -> dict[str, Any]:
    """Lookup → shape of its keys, where that is known and the shape of the values is not yet stated."""
    found = {}
    for operation in graph.get_operations():
        if operation.type == "LookupTableFindV2" and operation.inputs[2].shape.rank == 0:
            stated = any(user.name == f"{operation.name}/shape" for user in operation.outputs[0].consumers())
            keys = operation.inputs[1].shape
            if keys.rank is not None and not stated:
                found[operation.name] = keys
    return found


def _copy(node: Any, to: Any) -> None:
    to.op = node.op
    for key, value in node.attr.items():
        if not key.startswith("_"):
            to.attr[key].CopyFrom(value)


def _with_index(source: str) -> str:
    return source if ":" in source or source[0] == "^" else f"{source}:0"


def _name(tensor: str) -> str:
    return tensor.rpartition(":")[0]
