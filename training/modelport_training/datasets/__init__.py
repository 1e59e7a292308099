"""One source of data a file; `load_dataset` finds it by name."""

from __future__ import annotations

import difflib

from modelport.errors import NotFound
from modelport_training.datasets.dataset import Dataset

__all__ = ["NAMES", "Dataset", "load_dataset"]

NAMES = ("digits", "mnist", "fashion_mnist", "tfds:NAME")


def load_dataset(name: str) -> Dataset:
    """Load a dataset by its `--dataset` name.

    Raises:
        NotFound: there is no dataset of this name; the nearest one is named.
        Unavailable: no source can be reached; what can be had without a network is named.
        DataLoss: a file is not the published one.
    """
    if name == "digits":
        from modelport_training.datasets import digits

        return digits.load()
    if name == "mnist":
        from modelport_training.datasets.mnist import MNIST

        return MNIST.load()
    if name == "fashion_mnist":
        from modelport_training.datasets.fashion_mnist import FASHION_MNIST

        return FASHION_MNIST.load()
    if name.startswith("tfds:") and name != "tfds:":
        from modelport_training.datasets import tfds

        return tfds.load(name)
    near = difflib.get_close_matches(name, NAMES, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise NotFound(f"Expected one of the datasets {', '.join(NAMES)}. Received: {name!r}.{hint}")
