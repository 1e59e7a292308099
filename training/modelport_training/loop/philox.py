"""Random numbers by Philox, whatever asks for them, while a function is traced.

Keras' random layers call TensorFlow's stateless functions with the generator `auto_select`, which XLA compiles badly on
a CPU: an epoch with Dropout takes four times as long as by Philox. Both draw from the same seeds, and give other bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from unittest.mock import patch

import tensorflow as tf

NAME = "philox"
_DRAWING = {tf.random: ("stateless_uniform", "stateless_normal", "stateless_truncated_normal")}


@contextmanager
def philox() -> Iterator[None]:
    """Let TensorFlow's public stateless functions draw by Philox where their caller names no generator."""
    with ExitStack() as stack:
        for module, names in _DRAWING.items():
            for name in names:
                stack.enter_context(patch.object(module, name, partial(getattr(module, name), alg=NAME)))
        dropout = partial(tf.nn.experimental.stateless_dropout, rng_alg=NAME)
        stack.enter_context(patch.object(tf.nn.experimental, "stateless_dropout", dropout))
        yield
