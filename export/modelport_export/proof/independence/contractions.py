"""Rules of products, convolutions, pooling and normalisation."""

from __future__ import annotations

from typing import Any

from modelport_export.proof.independence.node import Answer, Node, rule
from modelport_export.proof.independence.values import Constant, Interleaved, Rows

_ROWS_FIRST = ("NHWC", "NCHW", "NDHWC", "NCDHW")  # data formats whose first dimension is the batch
_TWO_DIMENSIONS = 2


@rule("MatMul")
def matrix_product(node: Node) -> Answer:
    """Rows times a constant matrix, or the transposed of both; never summed over the rows."""
    left, right = node.values[:2]
    if isinstance(left, Rows) and isinstance(right, Constant):
        return Rows(0, left.block) if left.axis == (1 if node.attr("transpose_a") else 0) else None
    if isinstance(left, Constant) and isinstance(right, Rows):
        return Rows(1, right.block) if right.axis == (0 if node.attr("transpose_b") else 1) else None
    return None


@rule("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batched_matrix_product(node: Node) -> Answer:
    """Rows among the leading dimensions, which broadcast; or rows of the left matrix times a constant."""
    left, right = node.values[:2]
    ranks = node.rank(0), node.rank(1)
    if None in ranks:
        return None
    row_of_left = (ranks[0] or 0) - (1 if node.attr("adj_x") else 2)
    if isinstance(left, Rows) and isinstance(right, Constant) and left.axis == row_of_left:
        return Rows(max(ranks[0] or 0, ranks[1] or 0) - 2, left.block)
    return node.broadcast((0, 1), last=_TWO_DIMENSIONS)


@rule("Einsum")
def einsum(node: Node) -> Answer:
    """The label of the rows is that of no other dimension, and stands in the output."""
    equation = node.attr("equation").decode().replace(" ", "")
    inputs, arrow, output = equation.partition("->")
    labels = inputs.split(",")
    if not arrow or "." in equation or len(labels) != len(node.values):
        return None
    rows = {(labels[n][v.axis], v.block) for n, v in enumerate(node.values) if isinstance(v, Rows)}
    if len(rows) != 1:
        return None
    [(label, block)] = rows
    if block is None and sum(isinstance(value, Rows) for value in node.values) > 1:
        return None
    for spelled, value in zip(labels, node.values, strict=True):
        if not isinstance(value, Rows | Constant) or spelled.count(label) != isinstance(value, Rows):
            return None
    return Rows(output.index(label), block) if output.count(label) == 1 else None


@rule("Conv2D", "Conv3D", "DepthwiseConv2dNative")
def convolution(node: Node) -> Answer:
    """Images along the first dimension, with a constant filter."""
    return node.values[0] if _is_batch(node) and node.are_constant(1) else None


@rule("Conv2DBackpropInput", "Conv3DBackpropInputV2")
def transposed_convolution(node: Node) -> Answer:
    """The transposed one; its first input is the size of the output, whose batch the kernel holds against the third."""
    target = node.sizes(0)
    images = node.values[2]
    if target is None or not node.are_constant(1) or images != Rows() or not _is_plain(node):
        return None
    return images if target[0].per_row and not any(size.per_row for size in target[1:]) else None


@rule("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D")
def pooling(node: Node) -> Answer:
    """Windows within an image."""
    return node.values[0] if _is_batch(node) and node.attr("ksize")[0] == 1 else None


@rule("LRN")
def local_response(node: Node) -> Answer:
    """Over the channels, which are last."""
    value = node.values[0]
    return value if isinstance(value, Rows) and value.axis == 0 else None


@rule("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", "ScaleAndTranslate")
def resize(node: Node) -> Answer:
    """Each image on its own."""
    value = node.values[0]
    sizes_are_constant = node.are_constant(*range(1, len(node.values)))
    return value if isinstance(value, Rows) and value.axis == 0 and node.rank(0) == 4 and sizes_are_constant else None


@rule("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def batch_normalisation(node: Node) -> Answer:
    """By constants at inference; in training mode by the mean of the rows that came."""
    value = node.values[0]
    if node.attr("is_training") or not isinstance(value, Rows) or value.axis != 0 or not node.are_constant(1, 2, 3, 4):
        return None
    return [value, *[None] * (len(node.operation.outputs) - 1)]


@rule("BiasAdd")
def bias(node: Node) -> Answer:
    """A constant for each channel; the channels are the last dimension, or the second."""
    value, rank = node.values[0], node.rank(0)
    if not isinstance(value, Rows) or rank is None or not node.are_constant(1):
        return None
    channels = 1 if _text(node.attr("data_format")).startswith("NC") else rank - 1
    return value if value.axis != channels else None


def _is_batch(node: Node) -> bool:
    value = node.values[0]
    return (isinstance(value, Interleaved) or (isinstance(value, Rows) and value.axis == 0)) and _is_plain(node)


def _is_plain(node: Node) -> bool:
    """Whether nothing is done along the first dimension."""
    along = [node.attr(name) for name in ("strides", "dilations")]
    return _text(node.attr("data_format")) in _ROWS_FIRST and all(not sizes or sizes[0] == 1 for sizes in along)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
