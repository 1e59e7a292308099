"""Shapes of tensors ⇄ TensorShapeProto."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from modelport.errors import InvalidArgument
from modelport.wire import messages

MAX_RANK = 64  # numpy's
_LONGEST_KEPT = 1024  # bytes of a shape's message
_TOO_MANY = 2**58  # elements whose bytes numpy could not count, and so not even where another dimension is 0


def shape_proto(shape: Sequence[int]) -> messages.TensorShapeProto:
    """The message of a shape; -1 is an unknown dimension."""
    proto = messages.TensorShapeProto()
    for size in shape:
        proto.dim.add(size=size)
    return proto


def shape_of(proto: messages.TensorShapeProto) -> tuple[int, ...]:
    """The shape of a tensor; an unknown rank is a scalar, as the real server has it.

    Raises:
        InvalidArgument: a negative dimension, or more than 64.
    """
    return shape_and_size(proto)[0]


def shape_and_size(proto: messages.TensorShapeProto) -> tuple[tuple[int, ...], int]:
    """The shape, and how many elements a tensor of it has; see `shape_of`.

    Servers see few shapes many times, and walking the dimensions costs more than decoding a small tensor. Long messages
    are not kept: dimensions may have names, as long as a client likes.
    """
    data = proto.SerializeToString()
    return _kept(data) if len(data) <= _LONGEST_KEPT else _read_shape(data)


def _read_shape(data: bytes) -> tuple[tuple[int, ...], int]:
    proto = messages.TensorShapeProto.FromString(data)
    if proto.unknown_rank:
        return (), 1
    shape = tuple(dim.size for dim in proto.dim)
    if shape and min(shape) < 0:
        raise InvalidArgument(f"Expected dimensions of 0 or more; received the shape {list(shape)}.")
    if len(shape) > MAX_RANK:
        raise InvalidArgument(f"Expected at most {MAX_RANK} dimensions, as numpy has them; received {len(shape)}.")
    if 0 in shape and math.prod(size or 1 for size in shape) >= _TOO_MANY:
        raise InvalidArgument(f"Expected smaller dimensions beside a 0; received the shape {list(shape)}.")
    return shape, math.prod(shape)


_kept = lru_cache(maxsize=4096)(_read_shape)
