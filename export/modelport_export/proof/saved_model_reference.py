"""What a SavedModel answers in TensorFlow's own session: the other side of the proof where there is no Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport_export.signatures import Array


class SavedModelReference:
    """A SavedModel folder, loaded as `tf.compat.v1` loads it; a context manager.

    Args:
        folder: the one that the user gave, not the copy that is proven.

    Raises:
        FailedPrecondition: TensorFlow does not load it.
    """

    def __init__(self, folder: Path) -> None:
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph)
        try:
            with self._graph.as_default():
                meta_graph = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(folder))
        except Exception as error:  # of many kinds, by what is wrong with the folder
            self._session.close()
            raise FailedPrecondition(
                f"Expected TensorFlow to load the SavedModel {str(folder)!r}. Received {type(error).__name__}: "
                f"{' '.join(str(error).split())[:500]}"
            ) from error
        self._signatures = meta_graph.signature_def

    def __enter__(self) -> SavedModelReference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def __call__(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a signature; output alias → array.

        Raises:
            tf.errors.OpError: whatever the graph raises.
        """
        definition: Any = self._signatures[signature]
        feeds = {definition.inputs[alias].name: array for alias, array in inputs.items()}
        fetches = {alias: info.name for alias, info in definition.outputs.items()}
        found = self._session.run(fetches, feeds)
        return {alias: np.array(v, object) if isinstance(v, bytes) else np.asarray(v) for alias, v in found.items()}
