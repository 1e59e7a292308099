"""Rules of TensorLists, which carry tensors into loops and out of them."""

from __future__ import annotations

from modelport_export.proof.independence.node import Answer, Node, rule
from modelport_export.proof.independence.values import (
    CONSTANT,
    ROW_COUNT,
    Constant,
    ListOfRows,
    ListOfTensors,
    OneRow,
    RowNumber,
    Rows,
    join,
)


@rule("TensorListFromTensor")
def list_from_tensor(node: Node) -> Answer:
    """One element for each place along the first axis."""
    value = node.values[0]
    if not isinstance(value, Rows) or not node.are_constant(1):
        return None
    if value.axis:
        return ListOfTensors(Rows(value.axis - 1, value.block))
    return ListOfRows() if value.block == 1 else None


@rule("TensorListReserve")
def list_to_fill(node: Node) -> Answer:
    """A list of as many elements as there are rows, or of a constant number. Unset elements are zeros."""
    if not node.are_constant(0):
        return None
    if node.are_constant(1):
        return ListOfTensors()
    return ListOfRows() if node.values[1] == ROW_COUNT else None


@rule("TensorListLength")
def list_length(node: Node) -> Answer:
    """As the list was made."""
    return ROW_COUNT if isinstance(node.values[0], ListOfRows) else CONSTANT


@rule("TensorListGetItem")
def element(node: Node) -> Answer:
    """By a constant index; in a loop over the rows, the element of the row whose turn it is."""
    value, index = node.values[:2]
    if not node.are_constant(2):
        return None
    if isinstance(value, ListOfRows):
        return OneRow() if isinstance(index, RowNumber) else None
    return value.element if isinstance(value, ListOfTensors) and isinstance(index, Constant) else None


@rule("TensorListSetItem")
def set_element(node: Node) -> Answer:
    """By a constant index; in a loop over the rows, the element of the row whose turn it is."""
    value, index, item = node.values
    if isinstance(value, ListOfRows):
        return value if isinstance(index, RowNumber) and isinstance(item, OneRow | Constant) else None
    if not isinstance(value, ListOfTensors) or not isinstance(index, Constant) or not isinstance(item, Rows | Constant):
        return None
    return join(value, ListOfTensors(item))


@rule("TensorListStack")
def stack(node: Node) -> Answer:
    """The elements along a new first axis."""
    value = node.values[0]
    if not node.are_constant(1):
        return None
    if isinstance(value, ListOfRows):
        return Rows()
    elements = value.element if isinstance(value, ListOfTensors) else None
    return Rows(elements.axis + 1, elements.block) if isinstance(elements, Rows) else elements
