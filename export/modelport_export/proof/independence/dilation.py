"""Rules of SpaceToBatchND and back, which dilated convolutions are made of on a CPU."""

from __future__ import annotations

import math

from modelport_export.proof.independence.node import Answer, Node, rule
from modelport_export.proof.independence.values import ROWS, Interleaved


@rule("SpaceToBatchND")
def space_to_batch(node: Node) -> Answer:
    """Each image becomes several, which do not stand together: all first ones, then all second ones."""
    block = node.numbers(1)
    return Interleaved(math.prod(block)) if node.values[0] == ROWS and block and node.are_constant(2) else None


@rule("BatchToSpaceND")
def batch_to_space(node: Node) -> Answer:
    """Back into as many images as there were."""
    block = node.numbers(1)
    undone = bool(block) and node.values[0] == Interleaved(math.prod(block or ()))
    return ROWS if undone and node.are_constant(2) else None
