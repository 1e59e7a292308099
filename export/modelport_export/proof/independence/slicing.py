"""Rules of operations that take parts of a tensor: strided slices and gathering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from modelport_export.proof.independence.node import Answer, Node, rule
from modelport_export.proof.independence.values import Constant, Rows, Size, Sizes, sizes


class _Entry(NamedTuple):
    """One entry of a slice as Python writes it: `x[begin:end:stride, …, None, 3]`."""

    is_new: bool
    is_dropped: bool
    takes_all: bool


@rule("StridedSlice")
def strided_slice(node: Node) -> Answer:
    """All rows, in their order, and of them a constant part."""
    value = node.values[0]
    if isinstance(value, Sizes):
        return _slice_of_sizes(node, value)
    strides, rank = node.numbers(3), node.rank(0)
    begin, end = node.sizes(1), node.sizes(2)
    if not isinstance(value, Rows) or strides is None or rank is None or begin is None or end is None:
        return None
    entries = _entries(node, begin, strides, rank)
    axis, place = 0, 0  # in the input, in the output
    for number, entry in entries:
        if entry.is_new:
            place += 1
            continue
        if axis == value.axis:
            return Rows(place, value.block) if entry.takes_all and _rest_is_constant(begin, end, number) else None
        axis += 1
        place += not entry.is_dropped
    return Rows(place + value.axis - axis, value.block) if _rest_is_constant(begin, end, None) else None


def _entries(node: Node, begin: Sequence[Size], strides: list[int], rank: int) -> list[tuple[int, _Entry]]:
    """The entries with their numbers; the ellipsis as the entries that it stands for."""
    masks = {name: node.attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    bits = range(len(strides))
    taken = sum(not (masks["ellipsis"] | masks["new_axis"]) >> bit & 1 for bit in bits)
    entries = []
    for bit in bits:
        set_ = {name for name, mask in masks.items() if mask >> bit & 1}
        if "ellipsis" in set_:
            entries += [(bit, _Entry(False, False, True))] * (rank - taken)
        elif "new_axis" in set_:
            entries.append((bit, _Entry(True, False, False)))
        elif "shrink_axis" in set_:
            entries.append((bit, _Entry(False, True, False)))
        else:
            from_first = "begin" in set_ or begin[bit] == Size(0)
            entries.append((bit, _Entry(False, False, from_first and "end" in set_ and strides[bit] == 1)))
    return entries


def _rest_is_constant(begin: tuple[Size, ...], end: tuple[Size, ...], but: int | None) -> bool:
    """Whether bounds do not follow from the number of rows; those of the rows' own entry play no part."""
    return not any(size.per_row for bounds in (begin, end) for n, size in enumerate(bounds) if n != but)


def _slice_of_sizes(node: Node, value: Sizes) -> Answer:
    begin, end, strides = node.numbers(1), node.numbers(2), node.numbers(3)
    if value.is_scalar or begin is None or end is None or strides is None or len(strides) != 1:
        return None
    if node.attr("ellipsis_mask") or node.attr("new_axis_mask"):
        return None
    if node.attr("shrink_axis_mask"):
        inside = -len(value.elements) <= begin[0] < len(value.elements)
        return sizes((value.elements[begin[0]],), is_scalar=True) if inside else None
    first = None if node.attr("begin_mask") else begin[0]
    last = None if node.attr("end_mask") else end[0]
    return sizes(value.elements[first : last : strides[0]])


@rule("GatherV2")
def gather(node: Node) -> Answer:
    """Rows of a constant table by each row's index; constant parts of each row; or of each row by its own index."""
    values, indices = node.values[:2]
    depth, rank = node.attr("batch_dims"), node.rank(0)
    axes, index_rank = node.axes(2, rank), node.rank(1)
    if isinstance(values, Sizes):
        return _gather_of_sizes(node, values)
    if axes is None or index_rank is None:
        return None
    if isinstance(values, Constant) and isinstance(indices, Rows) and depth == 0:
        return Rows(axes[0] + indices.axis, indices.block)
    if isinstance(values, Rows) and isinstance(indices, Constant) and depth == 0 and axes[0] != values.axis:
        return Rows(values.axis + (index_rank - 1 if axes[0] < values.axis else 0), values.block)
    of_own = values == indices == Rows() and depth >= 1 and axes[0] >= depth
    return Rows() if of_own else None


def _gather_of_sizes(node: Node, values: Sizes) -> Answer:
    chosen, rank = node.numbers(1), node.rank(1)
    if values.is_scalar or chosen is None or rank not in (0, 1) or node.axes(2, 1) != [0] or node.attr("batch_dims"):
        return None
    if not all(0 <= place < len(values.elements) for place in chosen):
        return None
    return sizes(tuple(values.elements[place] for place in chosen), is_scalar=rank == 0)


@rule("ResourceGather")
def gather_of_variable(node: Node) -> Answer:
    """Rows of a variable by each row's index."""
    value = node.values[1]
    return value if isinstance(value, Rows) and node.are_constant(0) and not node.attr("batch_dims") else None


@rule("GatherNd", "ResourceGatherNd")
def gather_by_vectors(node: Node) -> Answer:
    """Elements of a constant by each row's vectors of indices, which are the last axis."""
    value, rank = node.values[1], node.rank(1)
    if not isinstance(value, Rows) or rank is None or not node.are_constant(0) or value.axis == rank - 1:
        return None
    return value
