"""What is known of a tensor: how what it holds follows from the rows of a request.

Two runs are compared in thought: one of a request alone, and one in which its rows stand among those of other
requests, of equal dtypes and equal sizes but for the first dimension. Every value says how a tensor of the one run
relates to the same tensor of the other. N is the number of rows of a run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """The same in both runs: constants, variables, tables, and sizes of dimensions that are not the rows'."""


@dataclass(frozen=True)
class Rows:
    """The rows of the request along one axis, each computed from that row of the inputs alone.

    `block` is how many places along the axis a row has, one after the other; None for a number that is the same in both
    runs and not known here.
    """

    axis: int = 0
    block: int | None = 1


@dataclass(frozen=True)
class Interleaved:
    """What SpaceToBatchND makes of rows: row i has `block` places along the first axis, i, i + N, i + 2 N …"""

    block: int


@dataclass(frozen=True)
class Tokens:
    """What StringSplitV2 makes of texts: `words` of all rows, their `places`, `rows`' numbers, or the `extent` of all.

    `source` is the operation, as words and row numbers belong together only when they come from the same.
    """

    source: str
    part: str


@dataclass(frozen=True)
class Size:
    """One integer: `times`, or `times * N`; None for a number that is the same in both runs and not known here."""

    times: int | None
    per_row: bool = False


@dataclass(frozen=True)
class Sizes:
    """A vector of integers, or a scalar, of which at least one follows from the number of rows."""

    elements: tuple[Size, ...]
    is_scalar: bool = False


@dataclass(frozen=True)
class ListOfTensors:
    """A TensorList as long in both runs, all of whose elements are of one kind; None while none is set."""

    element: Constant | Rows | None = None


@dataclass(frozen=True)
class ListOfRows:
    """A TensorList of N elements, each computed from its own row; `slot` is the variable of the loop that fills it."""

    slot: int | None = None


@dataclass(frozen=True)
class RowNumber:
    """Inside a loop over the rows: the number of the row whose turn it is."""


@dataclass(frozen=True)
class OneRow:
    """Inside a loop over the rows: what follows from the row whose turn it is alone."""


@dataclass(frozen=True)
class Mixed:
    """Nothing is known; `operation` and `node` are where that begins, `why` when more can be said."""

    operation: str
    node: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.operation} ({self.node!r}){self.why and ', '}{self.why}"


Value = Constant | Rows | Interleaved | Tokens | Sizes | ListOfTensors | ListOfRows | RowNumber | OneRow | Mixed

CONSTANT = Constant()
ROWS = Rows()
ROW_COUNT = Sizes((Size(1, per_row=True),), is_scalar=True)


def sizes(elements: tuple[Size, ...], *, is_scalar: bool = False) -> Constant | Sizes:
    """Sizes, or Constant when none of the elements follows from the number of rows."""
    return Sizes(elements, is_scalar) if any(size.per_row for size in elements) else CONSTANT


def join(one: Value, other: Value) -> Value | None:
    """What holds of a tensor that is the one or the other, as a constant condition says; None when nothing does."""
    if one == other:
        return one
    if isinstance(one, ListOfTensors) and isinstance(other, ListOfTensors):
        if one.element is None or other.element is None:
            return ListOfTensors(one.element or other.element)
        element = join(one.element, other.element)
        return ListOfTensors(element) if isinstance(element, Constant | Rows) else None
    return None
