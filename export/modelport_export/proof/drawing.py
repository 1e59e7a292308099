"""Samples that are made up: from the signature, from what the model's preprocessing knows, and such that it answers.

Sizes that vary are tried one after the other until the model takes them: a spectrogram needs hundreds of values, a
table of positions has an end. Where normal numbers give no finite answer (a logarithm), positive ones are tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from modelport.errors import FailedPrecondition, ModelportError
from modelport_export.proof import knowledge as knowledges
from modelport_export.proof.knowledge import Knowledge
from modelport_export.proof.parity import is_float
from modelport_export.proof.rows import Rows
from modelport_export.signatures import Array, Spec

_ROWS = 8
_SIZES = (
    32,
    16,
    8,
    4,
    64,
    128,
    224,
    512,
    2048,
    8192,
    16000,
    3,
    2,
    1,
)  # large enough for a few strides of pooling first
_UNKNOWN_RANK = (4,)  # shape of a row where no number of dimensions is declared
_LONGEST_TEXT = 6  # words
_MOST_ELEMENTS = 2**22  # of a row: 2,048 by 2,048, or a minute of sound

Answers = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def draw(
    inputs: Mapping[str, Spec], knowledge: Knowledge, answers: Answers, infinite: frozenset[str]
) -> dict[str, Array]:
    """Random samples, the same at every call.

    Args:
        inputs: of the signature.
        knowledge: what the values may be.
        answers: the model, by inputs; may raise whatever it likes.
        infinite: outputs that may be infinite.

    Raises:
        FailedPrecondition: the model answers none of those that were tried.
    """
    is_open = any(spec.shape is None or -1 in spec.shape[1:] for spec in inputs.values())
    reason = ""
    tries = [(size, positive) for size in (_SIZES if is_open else _SIZES[:1]) for positive in (False, True)]
    for size, positive in tries:
        if _elements(inputs, size) > _MOST_ELEMENTS:
            continue
        one = random(inputs, size, knowledge, positive=positive, units=1)
        try:
            answer = answers(one)
        except ModelportError as error:
            reason = error.message
        except Exception as error:  # the user's layers run here
            reason = f"{type(error).__name__}: {error}"
        else:
            bad = [alias for alias, value in answer.items() if alias not in infinite and not _finite(value)]
            if not bad:
                return random(inputs, size, knowledge, positive=positive)
            reason = f"NaN or infinity in the output {bad[0]!r}"
    raise FailedPrecondition(
        "Expected the model to answer made-up samples, because none were given. It does not: "
        f"{' '.join(reason.split())[:500]} Give real ones: samples={{'name': array, …}}, or --samples FILE.npz, with "
        f"one array for each of the inputs {list(inputs)}."
    )


def random(
    inputs: Mapping[str, Spec],
    size: int = _SIZES[0],
    knowledge: Knowledge | None = None,
    *,
    positive: bool = False,
    units: int = 0,
) -> dict[str, Array]:
    """Samples from a signature and what is known.

    Floats are drawn from the normal distribution, uint8 from 0..255, other integers from those that every table of
    indices has, strings from vocabularies and words beside them.

    Args:
        inputs: alias → Spec.
        size: of dimensions that vary.
        knowledge: of the model.
        positive: no floats of 0 or less.
        units: how many, see `Rows`; 0 for as many as a proof wants.
    """
    knowledge = knowledge or knowledges.Knowledge()
    generator = np.random.default_rng(0)
    rows = Rows.of(inputs)
    arrays = {}
    for alias, spec in inputs.items():
        sizes = spec.shape if spec.shape is not None else (-1, *_UNKNOWN_RANK)
        shape = tuple(size if length == -1 else length for length in sizes)
        if alias in rows.aliases:
            shape = (rows.unit * (units or (_ROWS if rows.is_open else 2)), *shape[1:])
        arrays[alias] = _values(generator, spec, shape, knowledge, positive)
    return arrays


def _values(
    generator: np.random.Generator, spec: Spec, shape: tuple[int, ...], knowledge: Knowledge, positive: bool
) -> Array:
    dtype = spec.row.numpy
    if spec.dtype == "string":
        values = np.empty(int(np.prod(shape)), object)
        values[:] = [_text(generator, knowledge) for _ in range(values.size)]
        return values.reshape(shape)
    if dtype == np.uint8:
        return generator.integers(0, 256, shape, np.uint8)
    if dtype.kind in "iub":
        if knowledge.numbers:
            return generator.choice(np.array([*knowledge.numbers, 0, 1]), shape).astype(dtype)
        end = 2 if dtype.kind == "b" else min(knowledge.indices, np.iinfo(dtype).max)
        return generator.integers(0, end, shape).astype(dtype)
    values = generator.standard_normal(shape)
    for mean, deviation in knowledge.normal:
        if mean.ndim == 0 or mean.shape == shape[-mean.ndim :]:
            values = values * deviation + mean
            break
    else:
        if knowledge.pixels:
            values = generator.uniform(0, 255, shape)
    return (np.abs(values) + 0.1 if positive else values).astype(dtype)  # floats and complex ones, and of ml_dtypes


def _elements(inputs: Mapping[str, Spec], size: int) -> int:
    """Of one row."""
    shapes = [spec.shape[1:] if spec.shape is not None else _UNKNOWN_RANK for spec in inputs.values()]
    return max((math.prod(size if length == -1 else length for length in shape) for shape in shapes), default=0)


def _text(generator: np.random.Generator, knowledge: Knowledge) -> bytes:
    vocabularies = knowledge.words()

    def word() -> bytes:
        words = vocabularies[generator.integers(len(vocabularies))]
        return words[generator.integers(len(words))] if words else b""

    return b" ".join(word() for _ in range(generator.integers(1, _LONGEST_TEXT) if knowledge.texts else 1))


def _finite(value: Array) -> bool:
    return not is_float(value) or bool(np.all(np.isfinite(value)))
