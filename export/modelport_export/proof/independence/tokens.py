"""Rules of texts that are split into words: as many as each has, and put together again to a fixed number.

Between the two, words of all rows stand in one vector, one row's behind another's, and a second vector has the number
of each word's row. Each may be changed on its own; what counts them, or makes room for the longest row, mixes rows.
"""

from __future__ import annotations

from modelport_export.proof.independence.elementwise import BROADCASTING, UNARY
from modelport_export.proof.independence.node import Answer, Node, rule
from modelport_export.proof.independence.values import ROW_COUNT, ROWS, Constant, Tokens

_EACH_ON_ITS_OWN = frozenset((*UNARY, *BROADCASTING, "Cast", "Equal", "NotEqual", "LookupTableFindV2", "StringJoin"))
_BY_ROW_NUMBER = [b"FIRST_DIM_SIZE", b"VALUE_ROWIDS"]


@rule("StringSplitV2")
def split_text(node: Node) -> Answer:
    """Each text on its own; the outputs are pairs of row and place, words, and (rows, most words of a row)."""
    if node.values[0] != ROWS or node.rank(0) != 1 or not node.are_constant(1):
        return None
    source = node.operation.name
    return [Tokens(source, "places"), Tokens(source, "words"), Tokens(source, "extent")]


def of_tokens(node: Node) -> Answer:
    """The rule of any operation that takes a part of what a split gave."""
    kind = node.operation.type
    if kind in _EACH_ON_ITS_OWN:
        return _each(node)
    if kind == "StridedSlice":
        return _column(node)
    return _fixed_length(node) if kind == "RaggedTensorToTensor" else node.values[0] if kind == "Identity" else None


def _each(node: Node) -> Answer:
    """Words with constants that are scalars: still one result for each word. Row numbers stay what they are."""
    words = {value for value in node.values if not isinstance(value, Constant)}
    scalars = all(node.rank(n) == 0 for n, value in enumerate(node.values) if isinstance(value, Constant))
    [value, *others] = words
    if not isinstance(value, Tokens) or others or not scalars:
        return None
    return value if value.part == "words" or (value.part == "rows" and _is_cast(node)) else None


def _is_cast(node: Node) -> bool:
    return node.operation.type == "Cast" and node.attr("DstT").is_integer and node.attr("DstT").size >= 4


def _column(node: Node) -> Answer:
    """`places[:, 0]`, the rows' numbers, or `extent[0]`, how many rows there are."""
    value, begin, strides = node.values[0], node.numbers(1), node.numbers(3)
    masks = [node.attr(f"{name}_mask") for name in ("begin", "end", "shrink_axis", "ellipsis", "new_axis")]
    if not isinstance(value, Tokens):
        return None
    if value.part == "places" and begin == [0, 0] and strides == [1, 1] and masks == [1, 1, 2, 0, 0]:
        return Tokens(value.source, "rows")
    return ROW_COUNT if value.part == "extent" and begin == [0] and masks[2:] == [1, 0, 0] else None


def _fixed_length(node: Node) -> Answer:
    """One row of a constant number of words for each text, cut or filled up."""
    if len(node.values) != 5 or node.attr("row_partition_types") != _BY_ROW_NUMBER:
        return None
    shape, words, default, rows, row_numbers = node.values
    length = node.numbers(0)
    if not isinstance(shape, Constant) or length is None or len(length) != 2 or length[0] != -1 or length[1] < 0:
        return None
    if not isinstance(default, Constant) or node.rank(2) != 0 or rows != ROW_COUNT:
        return None
    if not isinstance(words, Tokens) or words.part != "words":
        return None
    return ROWS if row_numbers == Tokens(words.source, "rows") else None
