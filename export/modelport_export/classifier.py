"""The signatures of an image classifier: raw pixels, encoded files and tf.Example in, scores and labels out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport.wire import messages
from modelport_export.calling import Call
from modelport_export.endpoint import CLASSIFY_METHOD, trace
from modelport_export.image_model import ImageModel, png_files
from modelport_export.images import ImageInput
from modelport_export.proof.image_reference import softmax
from modelport_export.scores import kind
from modelport_export.signatures import CLASSIFY, SERVE_IMAGE_BYTES, SERVING_DEFAULT, Array, Spec

EXAMPLE_FEATURE = "image/encoded"
LABELS_FILE = "labels.txt"


class ImageClassifier:
    """A model with one image as input and one row of class scores as output.

    `serving_default` takes uint8 pixels, `serve_image_bytes` PNG or JPEG files; both give `probabilities` float32
    [-1, classes], `class_id` int64 [-1] and `label` string [-1]. `classify` is for the API's Classify and takes
    tf.Example with the file in the feature `image/encoded`.

    Args:
        model: a built Keras model.
        call: how it is called.
        image: what it was trained on.
        labels: one for each class; None numbers them.
        workspace: a folder that outlives the export, for the asset file until it is copied.
        scores: whether the model gives "probabilities" or "logits"; None finds out, see `scores.kind`.
        samples: raw pixels by which that is found out; None for random ones.

    Raises:
        InvalidArgument: the model does not fit the image, is no classifier, or the labels do not fit the classes.
    """

    def __init__(
        self,
        model: Any,
        call: Call,
        image: ImageInput,
        labels: Sequence[str] | None,
        workspace: Path,
        scores: Literal["probabilities", "logits"] | None = None,
        samples: Array | None = None,
    ) -> None:
        self.image = image
        self.notes: list[str] = []
        self._plain = ImageModel(model, call, image)
        self._output, classes = _check_output(self._plain.outputs)
        self.labels: Sequence[str] = _check_labels(labels, classes)
        self._logits = (scores or kind(model, self._raw, image, samples)) == "logits"
        if self._logits:
            self.notes.append("The model gives logits, not probabilities: softmax is applied in the graph.")
        self._table = _label_table(self.labels, workspace)
        self.holders: tuple[Any, ...] = (model, self._table)
        pixels = Spec("uint8", (-1, *image.raw_shape))
        files = Spec("string", (-1,))
        self.endpoints = {
            SERVING_DEFAULT: trace(lambda t: self._answer(t["image"]), {"image": pixels}),
            SERVE_IMAGE_BYTES: trace(lambda t: self._answer(image.decode(t["image_bytes"])), {"image_bytes": files}),
            CLASSIFY: trace(lambda t: self._classify(t["inputs"]), {"inputs": files}, CLASSIFY_METHOD),
        }

    def feeds(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """See `Servable`; files are PNG, which loses nothing."""
        files = png_files(samples["image"], self.image)
        return {
            SERVING_DEFAULT: {"image": samples["image"]},
            SERVE_IMAGE_BYTES: {"image_bytes": files},
            CLASSIFY: {"inputs": np.array([_example(file) for file in files], object)},
        }

    def expected(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """See `Servable`; nothing but the model itself and numpy."""
        raw = self._raw(samples["image"]).astype(np.float32)
        probabilities = softmax(raw) if self._logits else raw
        class_id = probabilities.argmax(axis=-1)
        labels = np.array([label.encode() for label in self.labels], object)
        answer = {"probabilities": probabilities, "class_id": class_id, "label": labels[class_id]}
        classes = np.tile(labels, (len(probabilities), 1))
        return {
            SERVING_DEFAULT: answer,
            SERVE_IMAGE_BYTES: answer,
            CLASSIFY: {"classes": classes, "scores": probabilities},
        }

    def _raw(self, images: Array) -> Array:
        return self._plain.raw(images)[self._output]

    def _probabilities(self, images: Any) -> Any:
        scores = tf.cast(self._plain.serve(images)[self._output], tf.float32)
        return tf.nn.softmax(scores) if self._logits else scores

    def _answer(self, images: Any) -> dict[str, Any]:
        probabilities = self._probabilities(images)
        class_id = tf.argmax(probabilities, axis=-1)
        return {"probabilities": probabilities, "class_id": class_id, "label": self._table.lookup(class_id)}

    def _classify(self, examples: Any) -> dict[str, Any]:
        features = tf.io.parse_example(examples, {EXAMPLE_FEATURE: tf.io.FixedLenFeature([], tf.string)})
        scores = self._probabilities(self.image.decode(features[EXAMPLE_FEATURE]))
        classes = self._table.lookup(tf.range(len(self.labels), dtype=tf.int64))
        return {"classes": tf.tile(classes[tf.newaxis], (tf.shape(scores)[0], 1)), "scores": scores}


def is_classifier(outputs: Mapping[str, Spec]) -> bool:
    """Whether the outputs are one row of scores, of two classes or more."""
    if len(outputs) != 1:
        return False
    [spec] = outputs.values()
    return (
        spec.shape is not None
        and len(spec.shape) == 2
        and spec.shape[1] >= 2
        and spec.dtype in ("float16", "bfloat16", "float32", "float64")
    )


def _example(file: bytes) -> bytes:
    example = messages.Example()
    example.features.feature[EXAMPLE_FEATURE].bytes_list.value.append(file)
    return example.SerializeToString()


def _check_output(outputs: Mapping[str, Spec]) -> tuple[str, int]:
    """The name of the only output and the number of classes."""
    if not is_classifier(outputs):
        received = {name: spec.to_dict() for name, spec in outputs.items()}
        raise InvalidArgument(
            "Expected a classifier with one output of float scores (batch, classes), two classes or more, because "
            f"image= was given. Received: {received}. Leave image= out to export the model as it is."
        )
    [(name, spec)] = outputs.items()
    return name, (spec.shape or ())[1]


def _check_labels(labels: Sequence[str] | None, classes: int) -> list[str]:
    if labels is None:
        return [str(number) for number in range(classes)]
    received = [str(label) for label in labels]
    if len(received) != classes:
        raise InvalidArgument(f"Expected {classes} labels, one for each class. Received {len(received)}: {received}")
    for label in received:
        if not label or not label.isprintable() or received.count(label) > 1:
            raise InvalidArgument(
                "Expected labels that are distinct lines of printable text, because they are kept in a text file. "
                f"Received: {label!r}"
            )
    return received


def _label_table(labels: Sequence[str], workspace: Path) -> Any:
    """Class number → label, read from an asset file; an unknown number gives an empty label."""
    # In a folder of its own, because TensorFlow shares tables of one process by the path of their file.
    file = Path(tempfile.mkdtemp(dir=workspace)) / LABELS_FILE
    file.write_text("".join(f"{label}\n" for label in labels), "utf-8")
    key, value = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
    rows = tf.lookup.TextFileInitializer(str(file), tf.int64, key, tf.string, value)
    return tf.lookup.StaticHashTable(rows, "")
