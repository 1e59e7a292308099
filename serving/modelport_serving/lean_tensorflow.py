"""TensorFlow as the server needs it: what runs a graph, without Keras.

`import tensorflow` ends with an import of Keras, so that its optimizers are known to whoever loads a model by Python
objects. We run graphs. Without it, and the scikit-learn and scipy behind it, a server starts in half the time and takes
100 MB less. Everything of the server that needs TensorFlow takes it from here; `tf.keras` and `import keras` work as
ever for whoever wants them in the same process.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its notes on CPU features are not our users' business


class _Refusing(Loader):
    """Fails as Keras does where it is not installed, which TensorFlow takes in its stride."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        raise ImportError(f"{module.__name__} is not needed here")


class _KerasRefused(MetaPathFinder):
    """Finds Keras where it is, because TensorFlow notes its place, but does not let this thread import it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "keras" or threading.get_ident() != self._thread:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = _Refusing()
        return spec


@contextmanager
def _keras_left_out() -> Iterator[None]:
    finder = _KerasRefused()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


with _keras_left_out():
    import tensorflow as tf
    from tensorflow.python.client import pywrap_tf_session
    from tensorflow.python.framework import op_def_registry, tensor_util
    from tensorflow.python.saved_model.loader_impl import SavedModelLoader

__all__ = ["SavedModelLoader", "op_def_registry", "pywrap_tf_session", "tensor_util", "tf"]
