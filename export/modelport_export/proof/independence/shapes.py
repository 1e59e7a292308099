"""Rules of operations that make, change or ask for shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from modelport_export.proof.independence.axes import multiplied
from modelport_export.proof.independence.elementwise import broadcasting
from modelport_export.proof.independence.node import Answer, Node, resolve, rule
from modelport_export.proof.independence.values import CONSTANT, Constant, Interleaved, Rows, Size, Sizes, sizes

_INFERRED = Size(-1)  # in the target of Reshape; in the size of Slice it means all that is left


@rule("Shape", "ShapeN")
def shape(node: Node) -> Answer:
    """The number of rows in one place, constants in the others."""
    return [_shape(node, number) for number in range(len(node.values))]


@rule("Size")
def size(node: Node) -> Answer:
    """The product of the shape."""
    value = _shape(node, 0)
    return multiplied(value.elements) if isinstance(value, Sizes) else value


@rule("Rank")
def rank(node: Node) -> Answer:
    """The same for any number of rows."""
    return CONSTANT if isinstance(node.values[0], Rows | Sizes) else None


@rule("Mul")
def multiply(node: Node) -> Answer:
    """Of sizes, the product of two scalars; else as any arithmetic."""
    if not any(isinstance(value, Sizes) for value in node.values):
        return broadcasting(node)
    factors = [node.sizes(number) if node.rank(number) == 0 else None for number in (0, 1)]
    return multiplied([factor[0] for factor in factors if factor]) if all(factors) else None


@rule("Reshape")
def reshape(node: Node) -> Answer:
    """Rows stay apart where each becomes a whole number of places along the first axis."""
    value = node.values[0]
    if isinstance(value, Sizes):
        return _reshaped_sizes(node, value)
    target = node.sizes(1)
    if not isinstance(value, Rows) or value.axis != 0 or not target:
        return None
    first, *rest = target
    if any(size.per_row for size in rest):
        return None
    if first.per_row:  # the operation itself makes sure that the elements of a row are as many as before
        return Rows(0, first.times)
    row = _elements(value, node.shape(0))
    place = _product([size.times for size in rest])
    if first != _INFERRED or _INFERRED in rest or not row or not place or row % place:
        return None
    return Rows(0, row // place)


@rule("Transpose")
def transpose(node: Node) -> Answer:
    """The axis of the rows goes where the constant permutation puts it."""
    value, axes = node.values[0], node.axes(1, node.rank(0))
    return Rows(axes.index(value.axis), value.block) if isinstance(value, Rows) and axes is not None else None


@rule("ExpandDims")
def expand(node: Node) -> Answer:
    """A new axis of size 1."""
    value, before = node.values[0], node.rank(0)
    if isinstance(value, Sizes):
        return sizes(value.elements) if value.is_scalar and node.are_constant(1) else None
    axes = node.axes(1, None if before is None else before + 1)
    if isinstance(value, Interleaved):
        return value if axes and axes[0] > 0 else None
    return Rows(value.axis + (axes[0] <= value.axis), value.block) if isinstance(value, Rows) and axes else None


@rule("Squeeze")
def squeeze(node: Node) -> Answer:
    """Named axes only: without names, rows are dropped where there is but one."""
    value = node.values[0]
    if isinstance(value, Sizes):
        return None if value.is_scalar or len(value.elements) > 1 else sizes(value.elements, is_scalar=True)
    axes = resolve(node.attr("squeeze_dims"), node.rank(0))
    if isinstance(value, Interleaved):
        return value if axes and 0 not in axes else None
    if not isinstance(value, Rows) or not axes or value.axis in axes:
        return None
    return Rows(value.axis - len({axis for axis in axes if axis < value.axis}), value.block)


@rule("Fill")
def fill(node: Node) -> Answer:
    """A constant, as often as there are rows."""
    return _constant_of_shape(node.sizes(0)) if node.are_constant(1) else None


@rule("BroadcastTo")
def broadcast_to(node: Node) -> Answer:
    """Rows to their own number, or a constant to the number of rows."""
    value, target, rank = node.values[0], node.sizes(1), node.rank(0)
    if target is None or rank is None:
        return None
    wanted = _constant_of_shape(target)
    if wanted is None:
        return None
    if isinstance(value, Rows):
        return value if wanted == value and value.block is not None and rank == len(target) else None
    place = len(target) - wanted.axis  # of the rows, counted from the end
    known = node.shape(0) or []
    return wanted if isinstance(value, Constant) and (rank < place or known[-place] == 1) else None


@rule("Tile")
def tile(node: Node) -> Answer:
    """Rows once along their axis; a constant once for each row."""
    value, multiples, known = node.values[0], node.sizes(1), node.shape(0)
    if multiples is None or known is None or len(known) != len(multiples):
        return None
    if isinstance(value, Rows):
        others = [size for axis, size in enumerate(multiples) if axis != value.axis]
        return value if multiples[value.axis] == Size(1) and not any(size.per_row for size in others) else None
    wanted = _constant_of_shape(multiples)
    if wanted is None or not isinstance(value, Constant):
        return None
    return Rows(wanted.axis, _product([known[wanted.axis], wanted.block]))


@rule("Pad", "PadV2", "MirrorPad")
def pad(node: Node) -> Answer:
    """Along other axes than the rows'."""
    value, paddings = node.values[0], node.known(1)
    if not isinstance(value, Rows) or paddings is None or not node.are_constant(*range(1, len(node.values))):
        return None
    return value if not paddings[value.axis].any() else None


@rule("Slice")
def slice_(node: Node) -> Answer:
    """All rows, and of them a constant part."""
    value, begin, length = node.values[0], node.sizes(1), node.sizes(2)
    if begin is None or length is None:
        return None
    if isinstance(value, Sizes):
        known = node.numbers(1), node.numbers(2)
        if known[0] is None or known[1] is None:
            return None
        end = None if known[1][0] == -1 else known[0][0] + known[1][0]
        return sizes(value.elements[known[0][0] : end])
    if not isinstance(value, Rows) or any(size.per_row for size in begin):
        return None
    all_rows = begin[value.axis] == Size(0) and length[value.axis] in (_INFERRED, Size(value.block, per_row=True))
    known_block = value.block is not None or length[value.axis] == _INFERRED
    others = [size for axis, size in enumerate(length) if axis != value.axis]
    return value if all_rows and known_block and not any(size.per_row for size in others) else None


def _shape(node: Node, number: int) -> Constant | Sizes | None:
    value, known = node.values[number], node.shape(number)
    if isinstance(value, Constant | Sizes):
        return CONSTANT
    if not isinstance(value, Rows) or known is None:
        return None
    elements = [Size(value.block, per_row=True) if axis == value.axis else Size(n) for axis, n in enumerate(known)]
    return sizes(tuple(elements))


def _reshaped_sizes(node: Node, value: Sizes) -> Answer:
    """Sizes stay a vector, or a scalar becomes one."""
    target = node.numbers(1)
    if target is None or len(target) > 1:
        return None
    return sizes(value.elements, is_scalar=not target)


def _constant_of_shape(target: Sequence[Size] | None) -> Rows | None:
    """What a constant of such a shape is, when one of its dimensions follows from the number of rows."""
    axes = [axis for axis, size in enumerate(target or ()) if size.per_row]
    return Rows(axes[0], target[axes[0]].times) if target and len(axes) == 1 else None


def _elements(value: Rows, known: list[int | None] | None) -> int | None:
    """How many elements a row has, when all dimensions are known."""
    return None if known is None else _product([value.block, *known[1:]])


def _product(factors: Sequence[int | None]) -> int | None:
    return math.prod(f for f in factors if f is not None) if None not in factors else None
