"""One digest of what a version computes, equal for equal content however the model came about.

The bytes of two SavedModels of one model differ: names come from process-wide counters, nodes lie in another order. So
the digest is taken from the traced graphs themselves. Every node is hashed from its operation, its attributes and the
hashes of its inputs; names play no part. The leaves are the signature's inputs, the constants, and the content of the
variables and tables that the graph captures. Weights, preprocessing, labels, vocabularies and the code of every layer
thus count; the names of layers, the optimizer and the order of creation do not.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport_export.endpoint import Endpoint
from modelport_export.resources import captured_objects

# Where a node may run and what it is called: nothing about what it computes.
_IGNORED_ATTRIBUTES = frozenset(("config_proto", "executor_type", "shared_name", "container"))


def digest(endpoints: Mapping[str, Endpoint], holders: Sequence[Any]) -> str:
    """The digest of all signatures of a version, in hexadecimal.

    Args:
        endpoints: signature name → traced function.
        holders: the model, and what else holds captured variables and tables.
    """
    contents: dict[int, str] = {}
    parts = []
    for name, endpoint in sorted(endpoints.items()):
        computation = _endpoint(endpoint, holders, contents)
        parts.append([name, endpoint.method_name, endpoint.signature.to_dict(), computation])
    return _hash(json.dumps(parts, sort_keys=True))


def _endpoint(endpoint: Endpoint, holders: Sequence[Any], contents: dict[int, str]) -> list[str]:
    graph = endpoint.function.graph
    alias_of = {argument: alias for alias, argument in endpoint.arguments.items()}
    # TensorFlow flattens keyword arguments in the order of their names; captures follow them.
    placeholders = zip(sorted(alias_of), graph.inputs, strict=False)
    known = {tensor.op.name: _hash("input", alias_of[argument]) for argument, tensor in placeholders}
    for (_, internal), captured in zip(graph.captures, captured_objects(endpoint.function, holders), strict=True):
        if id(captured) not in contents:
            contents[id(captured)] = _content(captured)
        known[internal.op.name] = contents[id(captured)]
    definition = graph.as_graph_def()
    library = {function.signature.name: function for function in definition.library.function}
    nodes = _Nodes(library, {})
    found = nodes.digests(definition.node, known)
    outputs = endpoint.function.structured_outputs
    return [_hash(alias, found[outputs[alias].op.name], str(outputs[alias].value_index)) for alias in sorted(outputs)]


def _content(captured: Any) -> str:
    if hasattr(captured, "resource_handle"):  # a lookup table
        keys, values = (part.numpy() for part in _exported(captured))
        rows = sorted(zip(keys.tolist(), values.tolist(), strict=True))
        return _hash("table", str(keys.dtype), str(values.dtype), repr(rows))
    array = np.asarray(captured.numpy())
    data = repr(array.tolist()).encode() if array.dtype.kind == "O" else np.ascontiguousarray(array).tobytes()
    return _hash("value", str(array.dtype), str(array.shape), hashlib.sha256(data).hexdigest())


def _exported(table: Any) -> tuple[Any, Any]:
    """Keys and values of a table; one that comes from a SavedModel does not say of which dtypes they are."""
    if hasattr(table, "export"):
        return table.export()
    kinds = (tf.string, tf.int64, tf.int32, tf.float32, tf.float64, tf.bool)
    for keys, values in itertools.product(kinds, kinds):
        nothing, default = tf.zeros([0], keys), tf.zeros([], values)
        try:  # an export of other dtypes would end the process
            tf.raw_ops.LookupTableFindV2(table_handle=table.resource_handle, keys=nothing, default_value=default)
        except tf.errors.InvalidArgumentError:
            continue
        return tf.raw_ops.LookupTableExportV2(table_handle=table.resource_handle, Tkeys=keys, Tvalues=values)
    raise FailedPrecondition(f"Expected a table of words or numbers, whose content is known. Received: {table!r}")


class _Nodes:
    """Hashes of nodes, in graphs and in the functions that they call."""

    def __init__(self, library: Mapping[str, Any], functions: dict[str, str]) -> None:
        self._library = library
        self._functions = functions

    def digests(self, node_defs: Iterable[Any], known: Mapping[str, str]) -> dict[str, str]:
        """Node name → hash; `known` holds the leaves, which may be arguments without a node."""
        by_name = {node.name: node for node in node_defs}
        needs = {name: {_producer(source) for source in node.input} for name, node in by_name.items()}
        found = dict(known)
        for name in TopologicalSorter(needs).static_order():
            if name in found:
                continue
            node = by_name[name]
            data = [_reference(source, found) for source in node.input if source[0] != "^"]
            control = sorted(_reference(source, found) for source in node.input if source[0] == "^")
            found[name] = _hash(node.op, self._attributes(node.attr), *data, "after", *control)
        return found

    def _attributes(self, attributes: Mapping[str, Any]) -> str:
        kept = (key for key in sorted(attributes) if not key.startswith("_") and key not in _IGNORED_ATTRIBUTES)
        return _hash(*(part for key in kept for part in (key, self._attribute(attributes[key]))))

    def _attribute(self, value: Any) -> str:
        if value.HasField("func"):
            return _hash(self._function(value.func.name), self._attributes(value.func.attr))
        if value.list.func:
            return _hash(*(_hash(self._function(f.name), self._attributes(f.attr)) for f in value.list.func))
        return hashlib.sha256(value.SerializeToString(deterministic=True)).hexdigest()

    def _function(self, name: str) -> str:
        if name not in self._functions:
            function = self._library[name]
            arguments = {arg.name: _hash("argument", str(n)) for n, arg in enumerate(function.signature.input_arg)}
            found = self.digests(function.node_def, arguments)
            returned = (_reference(function.ret[arg.name], found) for arg in function.signature.output_arg)
            effects = sorted(_reference(node, found) for node in function.control_ret.values())
            self._functions[name] = _hash(*returned, "after", *effects)
        return self._functions[name]


def _producer(source: str) -> str:
    return source.removeprefix("^").partition(":")[0]


def _reference(source: str, found: Mapping[str, str]) -> str:
    """An edge: the node's hash and which of its outputs is meant."""
    return found[_producer(source)] + source.removeprefix("^").partition(":")[2]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
