"""`digits`: 1,797 real handwritten digits that ship inside scikit-learn, so no network is needed.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
"""

from __future__ import annotations

import numpy as np

from modelport_training.datasets.dataset import Array, Dataset

SIZE = 28


def load() -> Dataset:
    """Load the digits at 28x28; every fifth example of each class is held out, so the split is fixed and stratified."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = upscale(digits.images)
    labels = digits.target.astype(np.int64)
    held_out = np.zeros(len(labels), bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[4::5]] = True
    return Dataset(
        name="digits",
        source="sklearn.datasets.load_digits (UCI optical recognition of handwritten digits)",
        licence="CC BY 4.0",
        class_names=tuple("0123456789"),
        train_inputs=images[~held_out],
        train_targets=labels[~held_out],
        test_inputs=images[held_out],
        test_targets=labels[held_out],
    )


def upscale(images: Array) -> Array:
    """Scale (N, 8, 8) with values 0..16 to uint8 (N, 28, 28) with values 0..255, bilinearly.

    The weights of 8 -> 28 with half-pixel centres are multiples of 1/14, so all of it is integer arithmetic and the
    same on every machine.
    """
    small = images.shape[1]
    weights = np.zeros((SIZE, small), np.int64)
    for row in range(SIZE):
        # The centre (row + 1/2) * 8/28 - 1/2, in fourteenths.
        below, part = divmod(4 * row - 5, 14)
        weights[row, max(below, 0)] += 14 - part
        weights[row, min(below + 1, small - 1)] += part
    scaled = weights @ images.astype(np.int64) @ weights.T  # 0 .. 16 * 14 * 14
    most = 16 * 14 * 14
    return ((scaled * 255 + most // 2) // most).astype(np.uint8)
