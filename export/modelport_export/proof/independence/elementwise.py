"""Rules of operations that work on each element: arithmetic, comparisons, strings, tables."""

from __future__ import annotations

import tensorflow as tf

from modelport_export.proof.independence.node import Answer, Node, rule
from modelport_export.proof.independence.values import Constant, Rows, Sizes

UNARY = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BesselI0e", "BesselI1e", "Ceil", "Cos", "Cosh"),
    *("Digamma", "Elu", "Erf", "Erfc", "Erfinv", "Exp", "Expm1", "Floor", "Inv", "Invert", "IsFinite", "IsInf"),
    *("IsNan", "LeakyRelu", "Lgamma", "Log", "Log1p", "LogicalNot", "Ndtri", "Neg", "OnesLike", "Reciprocal"),
    *("Relu", "Relu6", "Rint", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign"),
    *("Sqrt", "Square", "Tan", "Tanh", "ZerosLike", "Bucketize", "CheckNumerics", "EnsureShape"),
    *("Conj", "Real", "Imag", "ComplexAbs", "Angle"),
    *("AsString", "DecodeBase64", "EncodeBase64", "StaticRegexFullMatch", "StaticRegexReplace", "StringLength"),
    *("StringLower", "StringStrip", "StringToHashBucket", "StringToHashBucketFast", "StringToHashBucketStrong"),
    *("StringToNumber", "StringUpper"),
)
BROADCASTING = (
    *("Add", "AddV2", "Atan2", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Complex", "Div", "DivNoNan", "FloorDiv"),
    *("FloorMod", "Greater", "GreaterEqual", "Igamma", "Igammac", "LeftShift", "Less", "LessEqual", "LogicalAnd"),
    *("LogicalOr", "Maximum", "Minimum", "Mod", "MulNoNan", "NextAfter", "Polygamma", "Pow", "RealDiv", "RightShift"),
    *("SelectV2", "SquaredDifference", "Sub", "TruncateDiv", "TruncateMod", "Xdivy", "Xlog1py", "Xlogy", "Zeta"),
)


@rule(*UNARY)
def unary(node: Node) -> Answer:
    """An element of the output follows from the element at its place."""
    value = node.values[0]
    return value if isinstance(value, Rows) else None


@rule("Identity", "StopGradient", "PreventGradient", "Snapshot")
def identity(node: Node) -> Answer:
    """Whatever it is, it stays."""
    return node.values[0]


@rule("IdentityN")
def identities(node: Node) -> Answer:
    """Each output is the input of its number."""
    return node.values


@rule("Cast")
def cast(node: Node) -> Answer:
    """Sizes stay what they are only as wide integers."""
    value = node.values[0]
    if isinstance(value, Sizes):
        return value if node.attr("DstT") in (tf.int32, tf.int64) else None
    return value if isinstance(value, Rows) else None


@rule(*BROADCASTING)
def broadcasting(node: Node) -> Answer:
    """An element follows from those that broadcasting puts at its place."""
    return node.broadcast(range(len(node.values)))


@rule("Equal", "NotEqual")
def equal(node: Node) -> Answer:
    """Like the other comparisons; but where shapes that do not fit are an answer and no error, they must fit."""
    value = node.broadcast((0, 1))
    shapes = node.shape(0), node.shape(1)
    if value is None or node.attr("incompatible_shape_error"):
        return value
    pairs = zip(reversed(shapes[0] or ()), reversed(shapes[1] or ()), strict=False)
    place = max(map(len, filter(None, shapes))) - value.axis  # of the rows, counted from the end
    fits = all(n == place or 1 in pair or (pair[0] == pair[1] is not None) for n, pair in enumerate(pairs, 1))
    return value if fits else None


@rule("Select")
def select(node: Node) -> Answer:
    """The older operation does not broadcast: a scalar decides for all, or everything has the rows."""
    if node.are_constant(0):
        return node.only_rows((1, 2)) if node.rank(0) == 0 else None
    condition, chosen = node.values[0], node.only_rows((1, 2))
    one_for_each = condition == chosen == Rows() and node.rank(0) in (1, node.rank(1))
    return chosen if one_for_each else None


@rule("AddN")
def add_all(node: Node) -> Answer:
    """All inputs have one shape."""
    return node.only_rows(range(len(node.values)))


@rule("StringJoin")
def join_strings(node: Node) -> Answer:
    """Inputs have one shape, or are scalars."""
    return node.broadcast(range(len(node.values))) if _others_are_scalars(node) else None


@rule("ClipByValue", "RegexFullMatch", "RegexReplace", "Substr")
def with_scalars(node: Node) -> Answer:
    """Elements of the first input, treated as the scalars behind it say."""
    value = node.values[0]
    others = range(1, len(node.values))
    if not isinstance(value, Rows) or not node.are_constant(*others):
        return None
    return value if all(node.rank(number) == 0 for number in others) else None


@rule("LookupTableFindV2")
def look_up(node: Node) -> Answer:
    """Each key is looked up on its own; values that are vectors would be further dimensions."""
    value = node.values[1]
    return value if isinstance(value, Rows) and node.are_constant(0, 2) and node.rank(2) == 0 else None


@rule("ParseExampleV2")
def parse_examples(node: Node) -> Answer:
    """Dense features of fixed shape follow from their own example; sparse and ragged ones are of all examples."""
    examples = node.values[0] == Rows() and node.rank(0) == 1
    keys_are_constant = node.are_constant(*range(1, len(node.values)))
    if not examples or not keys_are_constant or node.shape(1) != [0]:
        return None
    sparse = 3 * node.attr("num_sparse")
    answers: list[Rows | None] = [None] * len(node.operation.outputs)
    for number, shape in enumerate(node.attr("dense_shapes")):
        if all(dimension.size >= 0 for dimension in shape.dim) and not shape.unknown_rank:
            answers[sparse + number] = Rows()
    return answers


def _others_are_scalars(node: Node) -> bool:
    return all(not isinstance(v, Constant) or node.rank(n) == 0 for n, v in enumerate(node.values)) and (
        len({node.rank(n) for n, v in enumerate(node.values) if isinstance(v, Rows)}) == 1
    )
