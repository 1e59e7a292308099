"""Values carried through a flat graph, from what is given to what is asked for, by the rules of each operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

from modelport_export.proof.independence import (
    axes,
    contractions,
    dilation,
    elementwise,
    lists,
    shapes,
    slicing,
    tokens,
)
from modelport_export.proof.independence.constants import is_clamped
from modelport_export.proof.independence.effects import READERS, is_pure
from modelport_export.proof.independence.loops import BRANCHES, LOOPS, branch, loop
from modelport_export.proof.independence.node import RULES, Answer, Node
from modelport_export.proof.independence.values import CONSTANT, Constant, Mixed, OneRow, Tokens, Value

RULE_MODULES = (
    axes,
    contractions,
    dilation,
    elementwise,
    lists,
    shapes,
    slicing,
    tokens,
)  # importing them fills the table
_MAKES_LISTS = "TensorListReserve"  # its answer is no constant even where its inputs are
_MAX_DEPTH = 16  # of loops and branches within one another: a function that calls itself ends here


class Walk:
    """Carries values through graphs of one library of functions."""

    def __init__(self, library: Any, depth: int = 0) -> None:
        self.library = library
        self._depth = depth

    def deeper(self) -> Walk:
        """The walk through a body of a loop or branch.

        Raises:
            ValueError: bodies are nested too deeply.
        """
        if self._depth >= _MAX_DEPTH:
            raise ValueError(f"loops and branches are nested more than {_MAX_DEPTH} deep")
        return Walk(self.library, self._depth + 1)

    def values(self, given: Mapping[Any, Value], wanted: Sequence[Any]) -> list[Value]:
        """What holds of the wanted tensors.

        Args:
            given: operation without inputs → value of its only output.
            wanted: tensors of the same graph.

        Raises:
            ValueError: the graph has a loop that is no While operation, or a body that cannot be flattened.
        """
        needs: dict[Any, set[Any]] = {}
        waiting = [tensor.op for tensor in wanted]
        while waiting:
            operation = waiting.pop()
            if operation not in needs:
                needs[operation] = {tensor.op for tensor in operation.inputs}
                waiting += needs[operation]
        found: dict[Any, Sequence[Value]] = {}
        for operation in TopologicalSorter(needs).static_order():
            if operation in given:
                found[operation] = [given[operation]]
            else:
                inputs = [found[tensor.op][tensor.value_index] for tensor in operation.inputs]
                found[operation] = self._outputs(operation, inputs)
        return [found[tensor.op][tensor.value_index] for tensor in wanted]

    def _outputs(self, operation: Any, inputs: Sequence[Value]) -> Sequence[Value]:
        count = len(operation.outputs)
        here = Mixed(operation.type, operation.name)
        if operation.type in LOOPS:
            return _spread(loop(self.deeper(), Node(operation, inputs)), count, here)
        if is_clamped(operation):
            return [CONSTANT]
        mixed = next((value for value in inputs if isinstance(value, Mixed)), None)
        if mixed is not None:
            return [mixed] * count
        answer = self._answer(operation, inputs)
        return _spread(answer, count, here)

    def _answer(self, operation: Any, inputs: Sequence[Value]) -> Answer:
        kind = operation.type
        repeatable = kind != "Placeholder" and (is_pure(kind) or kind in READERS)
        if repeatable and kind != _MAKES_LISTS and _are_all(inputs, Constant):
            return CONSTANT
        if repeatable and OneRow() in inputs and _are_all(inputs, Constant | OneRow):
            return OneRow()  # whatever it computes, it computes it from nothing but this row
        if kind in BRANCHES:
            return branch(self.deeper(), Node(operation, inputs))
        if any(isinstance(value, Tokens) for value in inputs):
            return tokens.of_tokens(Node(operation, inputs))
        rule = RULES.get(kind)
        return None if rule is None else rule(Node(operation, inputs))


def _are_all(values: Iterable[Value], kinds: Any) -> bool:
    return all(isinstance(value, kinds) for value in values)


def _spread(answer: Answer, count: int, here: Mixed) -> Sequence[Value]:
    """One value for each output; where there is none, rows are mixed here."""
    answers = answer if isinstance(answer, Sequence) else [answer] * count
    return [here if value is None else value for value in answers]
