"""One operation as the rules see it, and the table of rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelport_export.proof.independence.constants import static_value
from modelport_export.proof.independence.values import Constant, Rows, Size, Sizes, Value

Answer = Value | Sequence[Value | None] | None
Rule = Callable[["Node"], Answer]

RULES: dict[str, Rule] = {}


def rule(*operations: str) -> Callable[[Rule], Rule]:
    """Enter a function into the table, as the rule of these operations.

    A rule gives one value for all outputs, or one for each; None where it is not known that rows are kept apart.
    It is asked only when no input is mixed and not all are constant.
    """

    def enter(function: Rule) -> Rule:
        for operation in operations:
            assert operation not in RULES, operation  # noqa: S101  # a rule written twice is ours
            RULES[operation] = function
        return function

    return enter


class Node:
    """An operation of a flat graph with what is known of its inputs."""

    def __init__(self, operation: Any, values: Sequence[Value]) -> None:
        self.operation = operation
        self.values = values

    def attr(self, name: str) -> Any:
        """An attribute; None when the operation has none of this name."""
        try:
            return self.operation.get_attr(name)
        except ValueError:
            return None

    def shape(self, number: int) -> list[int | None] | None:
        """The static shape of an input; None when its rank is not known."""
        shape = self.operation.inputs[number].shape
        return None if shape.rank is None else shape.as_list()

    def rank(self, number: int) -> int | None:
        """The static rank of an input."""
        return self.operation.inputs[number].shape.rank

    def known(self, number: int) -> Any:
        """The value of a constant input as an array; None when it is not known before the graph runs."""
        if not isinstance(self.values[number], Constant):
            return None
        return static_value(self.operation.inputs[number])

    def numbers(self, number: int) -> list[int] | None:
        """The value of a constant integer input, whatever its shape, as a flat list."""
        array = self.known(number)
        return None if array is None else [int(item) for item in np.reshape(array, -1)]

    def axes(self, number: int, rank: int | None) -> list[int] | None:
        """The value of an input that names axes of a tensor of this rank, counted from the front."""
        return resolve(self.numbers(number), rank)

    def sizes(self, number: int) -> tuple[Size, ...] | None:
        """An integer vector or scalar as sizes; None when the input is no such thing."""
        value = self.values[number]
        if isinstance(value, Sizes):
            return value.elements
        if not isinstance(value, Constant) or not self.operation.inputs[number].dtype.is_integer:
            return None
        known = self.numbers(number)
        if known is not None:
            return tuple(Size(item) for item in known)
        shape = self.shape(number)
        if shape is None or len(shape) > 1 or shape == [None]:
            return None
        return (Size(None),) * (shape[0] or 0 if shape else 1)

    def are_constant(self, *numbers: int) -> bool:
        """Whether all of these inputs are constant."""
        return all(isinstance(self.values[number], Constant) for number in numbers)

    def only_rows(self, numbers: Sequence[int]) -> Rows | None:
        """The value that all of these inputs have, when it is one of rows and their ranks are equal."""
        first = self.values[numbers[0]]
        ranks = {self.rank(number) for number in numbers}
        alike = all(self.values[number] == first for number in numbers) and len(ranks) == 1 and None not in ranks
        if not isinstance(first, Rows) or not alike or (first.block is None and len(numbers) > 1):
            return None
        return first

    def broadcast(self, numbers: Sequence[int], last: int = 0) -> Rows | None:
        """The rows of these inputs broadcast against one another; all but the `last` dimensions are.

        Rows must meet rows, and of constants a dimension of size 1 or none at all: what has another size fits only the
        one number of rows.
        """
        place = None  # of the rows, counted from the end
        block: int | None = 1
        shapes = [self.shape(number) for number in numbers]
        if any(shape is None for shape in shapes):
            return None
        for number, shape in zip(numbers, shapes, strict=True):
            value = self.values[number]
            if isinstance(value, Rows):
                here = len(shape or ()) - value.axis
                if here <= last or (place is not None and (place, block) != (here, value.block)):
                    return None
                if place is not None and block is None:
                    return None
                place, block = here, value.block
        if place is None:
            return None
        for number, shape in zip(numbers, shapes, strict=True):
            value = self.values[number]
            if isinstance(value, Constant):
                if shape is not None and len(shape) >= place and shape[-place] != 1:
                    return None
            elif not isinstance(value, Rows):
                return None
        return Rows(max(len(shape or ()) for shape in shapes) - place, block)


def resolve(axes: Sequence[int] | None, rank: int | None) -> list[int] | None:
    """Axes counted from the front; None when they, or the rank, are not known or do not fit."""
    if axes is None or rank is None or not all(-rank <= axis < rank for axis in axes):
        return None
    return [axis % rank for axis in axes]
