"""Rules of operations that work along axes: none of them may be that of the rows."""

from __future__ import annotations

from collections.abc import Sequence

from modelport_export.proof.independence.node import Answer, Node, resolve, rule
from modelport_export.proof.independence.values import Rows, Size, Sizes, sizes


@rule("Sum", "Mean", "Max", "Min", "All", "Any", "EuclideanNorm")
def reduction(node: Node) -> Answer:
    """Over constant axes."""
    value = node.values[0]
    axes = node.axes(1, node.rank(0))
    if not isinstance(value, Rows) or axes is None or value.axis in axes:
        return None
    gone = 0 if node.attr("keep_dims") else len({axis for axis in axes if axis < value.axis})
    return Rows(value.axis - gone, value.block)


@rule("Prod")
def product(node: Node) -> Answer:
    """Over constant axes; of sizes, the size of what they describe."""
    value = node.values[0]
    if not isinstance(value, Sizes):
        return reduction(node)
    if node.axes(1, 1) != [0] or value.is_scalar or node.attr("keep_dims"):
        return None
    return multiplied(value.elements)


def multiplied(factors: Sequence[Size]) -> Answer:
    """The product as a scalar; None when it grows with more than the number of rows."""
    total: int | None = 1
    for size in factors:
        total = None if total is None or size.times is None else total * size.times
    if sum(size.per_row for size in factors) > 1:
        return None
    return sizes((Size(total, any(size.per_row for size in factors)),), is_scalar=True)


@rule("ArgMax", "ArgMin")
def best(node: Node) -> Answer:
    """The axis is gone afterwards."""
    value, axes = node.values[0], node.axes(1, node.rank(0))
    if not isinstance(value, Rows) or axes is None or value.axis == axes[0]:
        return None
    return Rows(value.axis - (axes[0] < value.axis), value.block)


@rule("Cumsum", "Cumprod", "CumulativeLogsumexp", "ReverseV2")
def along(node: Node) -> Answer:
    """The shape stays."""
    value, axes = node.values[0], node.axes(1, node.rank(0))
    return value if isinstance(value, Rows) and axes is not None and value.axis not in axes else None


@rule("Softmax", "LogSoftmax")
def softmax(node: Node) -> Answer:
    """Over the last axis."""
    return _unless_last(node)


@rule("TopKV2")
def top(node: Node) -> Answer:
    """Over the last axis; how many is constant."""
    return _unless_last(node) if node.are_constant(1) else None


@rule("ConcatV2")
def concat(node: Node) -> Answer:
    """Along another axis than the rows'; of sizes, a longer vector."""
    *numbers, last = range(len(node.values))
    if any(isinstance(node.values[number], Sizes) for number in numbers):
        parts = [node.sizes(number) for number in numbers]
        if node.axes(last, 1) != [0] or any(part is None for part in parts):
            return None
        return sizes(tuple(size for part in parts for size in part or ()))
    value, axes = node.only_rows(numbers), node.axes(last, node.rank(0))
    return value if value is not None and axes is not None and axes[0] != value.axis else None


@rule("Split")
def split(node: Node) -> Answer:
    """Along another axis than the rows'."""
    value, axes = node.values[1], node.axes(0, node.rank(1))
    return value if isinstance(value, Rows) and axes is not None and axes[0] != value.axis else None


@rule("SplitV")
def split_by_sizes(node: Node) -> Answer:
    """Along another axis than the rows', into constant sizes."""
    value, axes = node.values[0], node.axes(2, node.rank(0))
    apart = isinstance(value, Rows) and axes is not None and axes[0] != value.axis
    return value if apart and node.are_constant(1) else None


@rule("Pack")
def pack(node: Node) -> Answer:
    """Along a new axis; of scalars, a vector of sizes."""
    numbers = range(len(node.values))
    if any(isinstance(value, Sizes) for value in node.values):
        parts = [node.sizes(number) if node.rank(number) == 0 else None for number in numbers]
        return None if any(part is None for part in parts) else sizes(tuple((part or ())[0] for part in parts))
    value, rank = node.only_rows(numbers), node.rank(0)
    if value is None or rank is None:
        return None
    axis = node.attr("axis") % (rank + 1)
    return Rows(value.axis + (axis <= value.axis), value.block)


@rule("Unpack")
def unpack(node: Node) -> Answer:
    """Along another axis than the rows'; a vector of sizes into scalars."""
    value = node.values[0]
    if isinstance(value, Sizes):
        return None if value.is_scalar else [sizes((size,), is_scalar=True) for size in value.elements]
    axes = resolve([node.attr("axis")], node.rank(0))
    if not isinstance(value, Rows) or axes is None or axes[0] == value.axis:
        return None
    return Rows(value.axis - (axes[0] < value.axis), value.block)


@rule("OneHot")
def one_hot(node: Node) -> Answer:
    """Along a new axis of constant size."""
    value, rank = node.values[0], node.rank(0)
    if not isinstance(value, Rows) or rank is None or not node.are_constant(1, 2, 3):
        return None
    axis = node.attr("axis") % (rank + 1)
    return Rows(value.axis + (axis <= value.axis), value.block)


@rule("DenseBincount")
def count(node: Node) -> Answer:
    """Of a matrix each row is counted on its own, into a constant number of bins."""
    value = node.values[0]
    weights_fit = node.values[2] == Rows() or (node.are_constant(2) and node.shape(2) == [0])
    return value if value == Rows() and node.rank(0) == 2 and node.are_constant(1) and weights_fit else None


def _unless_last(node: Node) -> Answer:
    value, rank = node.values[0], node.rank(0)
    return value if isinstance(value, Rows) and rank is not None and value.axis != rank - 1 else None
