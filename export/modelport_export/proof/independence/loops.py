"""Branches and loops: their bodies are walked through like any graph.

A loop whose condition is constant runs as often in both runs: what holds of its variables before and after each turn
holds at the end. A loop that counts from 0 to the number of rows, and in each turn makes element i of a list from
element i of others, keeps rows apart as well, whatever it computes; `tf.map_fn` is such a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from modelport_export.proof.independence.constants import static_value
from modelport_export.proof.independence.flattening import Flat, Leaf, flatten_function
from modelport_export.proof.independence.node import Node
from modelport_export.proof.independence.values import (
    ROW_COUNT,
    Constant,
    ListOfRows,
    Mixed,
    RowNumber,
    Value,
    join,
)

if TYPE_CHECKING:
    from modelport_export.proof.independence.walk import Walk

BRANCHES = frozenset(("If", "StatelessIf"))
LOOPS = frozenset(("While", "StatelessWhile"))
_MAX_ROUNDS = 8  # a variable changes its kind twice at most; more rounds are needed where one follows from another
_SAME = frozenset(("Identity", "StopGradient"))


def branch(walk: Walk, node: Node) -> list[Value | None] | None:
    """What holds in both branches; the condition must be constant."""
    if not node.are_constant(0):
        return None
    arguments = node.values[1:]
    leaves = [_leaf(tensor, tensor.shape) for tensor in node.operation.inputs[1:]]
    found = []
    for name in ("then_branch", "else_branch"):
        flat = flatten_function(walk.library, node.attr(name).name, leaves)
        found.append(_walked(walk, flat, arguments))
    return [join(one, other) for one, other in zip(*found, strict=True)]


def loop(walk: Walk, node: Node) -> Sequence[Value | None] | None:
    """What holds of the variables after the last turn."""
    body, condition = _functions(walk, node)
    invariant = [_source(result) is argument for result, argument in zip(body.results, body.arguments, strict=True)]
    answer = _constant_turns(walk, node, body, condition)
    return answer if answer is not None else _turn_for_each_row(walk, node, body, condition, invariant)


def _functions(walk: Walk, node: Node) -> tuple[Flat, Flat]:
    """The body and the condition, flattened with the shapes that hold in every turn."""
    inputs = list(node.operation.inputs)
    declared = node.attr("output_shapes") or [tf.TensorShape(None)] * len(inputs)
    leaves = [Leaf(tensor.dtype, tf.TensorShape(shape)) for tensor, shape in zip(inputs, declared, strict=True)]
    body = flatten_function(walk.library, node.attr("body").name, leaves)
    for number, (result, argument) in enumerate(zip(body.results, body.arguments, strict=True)):
        if _source(result) is argument:
            leaves[number] = _leaf(inputs[number], inputs[number].shape)
    body = flatten_function(walk.library, node.attr("body").name, leaves)
    return body, flatten_function(walk.library, node.attr("cond").name, leaves)


def _leaf(tensor: Any, shape: Any) -> Leaf:
    """A copy of what makes the tensor when that needs no input, so that its value is known; else a Placeholder."""
    operation = tensor.op
    is_alone = not operation.inputs and len(operation.outputs) == 1 and operation.type != "Placeholder"
    return Leaf(tensor.dtype, shape, operation.node_def if is_alone else None)


def _walked(walk: Walk, flat: Flat, values: Sequence[Value]) -> list[Value]:
    return walk.values({tensor.op: v for tensor, v in zip(flat.arguments, values, strict=True)}, flat.results)


def _constant_turns(walk: Walk, node: Node, body: Flat, condition: Flat) -> list[Value] | None:
    variables = list(node.values)
    for _ in range(_MAX_ROUNDS):
        after = _walked(walk, body, variables)
        here = Mixed(node.operation.type, node.operation.name)
        joined = [join(one, other) or _mixed(one, other, here) for one, other in zip(variables, after, strict=True)]
        if joined == variables:
            [runs_on] = _walked(walk, condition, variables)
            return variables if isinstance(runs_on, Constant) else None
        variables = joined
    return None


def _mixed(one: Value, other: Value, here: Mixed) -> Mixed:
    return one if isinstance(one, Mixed) else other if isinstance(other, Mixed) else here


def _turn_for_each_row(
    walk: Walk, node: Node, body: Flat, condition: Flat, invariant: Sequence[bool]
) -> list[Value] | None:
    variables: list[Value] = []
    for number, value in enumerate(node.values):
        if invariant[number]:
            variables.append(value)
        elif _counts(node.known(number), body, number):
            variables.append(RowNumber())
        elif isinstance(value, ListOfRows):
            variables.append(ListOfRows(slot=number))
        else:
            return None
    if not _ends_at_row_count(condition, variables):
        return None
    after = _walked(walk, body, variables)
    for number, value in enumerate(variables):
        if value == ListOfRows(slot=number) and after[number] != value:
            return None
    plain: dict[type, Value] = {RowNumber: ROW_COUNT, ListOfRows: ListOfRows()}
    return [plain.get(type(value), value) for value in variables]


def _counts(first: Any, body: Flat, number: int) -> bool:
    """Whether the variable begins with 0 and is one more after each turn."""
    operation = _source(body.results[number]).op
    if first is None or first.ndim or first != 0 or operation.type not in ("Add", "AddV2"):
        return False
    left, right = (_source(tensor) for tensor in operation.inputs)
    argument = body.arguments[number]
    step = right if left is argument else left if right is argument else None
    known = None if step is None else static_value(step)
    return known is not None and not known.ndim and known == 1


def _ends_at_row_count(condition: Flat, variables: Sequence[Value]) -> bool:
    """Whether the loop runs on just as long as its counters are less than the number of rows."""
    of_argument = {tensor.op: value for tensor, value in zip(condition.arguments, variables, strict=True)}
    waiting = [_source(condition.results[0])]
    while waiting:
        operation = waiting.pop().op
        inputs = [_source(tensor) for tensor in operation.inputs]
        if operation.type == "LogicalAnd":
            waiting += inputs
        elif operation.type != "Less" or [of_argument.get(t.op) for t in inputs] != [RowNumber(), ROW_COUNT]:
            return False
    return True


def _source(tensor: Any) -> Any:
    """The tensor, behind operations that only hand it on."""
    while tensor.op.type in _SAME:
        tensor = tensor.op.inputs[0]
    return tensor
