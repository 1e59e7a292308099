"""The values of tensors that follow from constants alone: axes, permutations, paddings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef

from modelport_export.proof.independence.effects import is_pure

_MOST_OPERATIONS = 64  # an axis or permutation takes a dozen; larger computations are not worth a run while proving


def static_value(tensor: Any) -> Any:
    """The value as an array; None when it is not known before the graph runs.

    What TensorFlow does not know by itself is computed, when constants and pure operations are all that it takes.
    """
    known = tf.get_static_value(tensor)
    if known is not None or not tensor.dtype.is_integer:
        return known
    leaves: dict[Any, Any] = {}
    waiting, seen = [tensor], {tensor.op}
    while waiting:
        operation = waiting.pop().op
        has_function = any(value.HasField("func") for value in operation.node_def.attr.values())
        if not operation.inputs or not is_pure(operation.type) or has_function or len(seen) > _MOST_OPERATIONS:
            return None
        for source in operation.inputs:
            value = tf.get_static_value(source)
            if value is not None:
                leaves[source] = value
            elif source.op not in seen:
                seen.add(source.op)
                waiting.append(source)
    return _computed(tensor, seen, leaves)


def is_clamped(operation: Any) -> bool:
    """Whether it is `min(c, max(d, x))` of integers with `c <= d`, which is c whatever x is.

    `tf.math.bincount` with a fixed number of bins says it so, with the largest of all values for x.
    """
    if operation.type != "Minimum" or not operation.outputs[0].dtype.is_integer:
        return False
    upper = [tf.get_static_value(tensor) for tensor in operation.inputs]
    for least, tensor in zip(upper, reversed(operation.inputs), strict=True):
        if least is not None and tensor.op.type == "Maximum" and tensor.shape.rank == least.ndim == 0:
            bounds = [tf.get_static_value(bound) for bound in tensor.op.inputs]
            return any(bound is not None and bound >= least for bound in bounds)
    return False


def _computed(tensor: Any, operations: Iterable[Any], leaves: Mapping[Any, Any]) -> Any:
    """Run these operations on the leaves, in a graph of their own."""
    graph_def = GraphDef()
    graph_def.node.extend(operation.node_def for operation in operations)
    with tf.Graph().as_default() as graph:
        given = {source.name.removesuffix(":0"): tf.constant(value, source.dtype) for source, value in leaves.items()}
        [result] = tf.graph_util.import_graph_def(graph_def, given, [tensor.name], name="")
        try:
            with tf.compat.v1.Session(graph=graph) as session:
                return session.run(result)
        except tf.errors.OpError:
            return None
