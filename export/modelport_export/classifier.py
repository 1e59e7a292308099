"""The signatures of an image classifier: raw pixels, encoded files and tf.Example in, scores and labels out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport.wire import messages
from modelport_export import naming
from modelport_export.calling import Call
from modelport_export.endpoint import CLASSIFY_METHOD, trace
from modelport_export.images import ImageInput
from modelport_export.servable import Generic
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

    Raises:
        InvalidArgument: the model does not fit the image, is no classifier, or the labels do not fit the classes.
    """

    def __init__(
        self, model: Any, call: Call, image: ImageInput, labels: Sequence[str] | None, workspace: Path
    ) -> None:
        self.model = model
        self.image = image
        self.notes: list[str] = []
        self._input = _check_input(call, image)
        self._scores = Generic(model, call)
        self._output, classes = _check_output(self._scores.endpoints[SERVING_DEFAULT].signature.outputs)
        self.labels = _check_labels(labels, classes)
        self._logits = not self._gives_scores()
        if self._logits:
            self.notes.append("The model's last layer has no softmax or sigmoid: softmax is applied in the graph.")
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
        pixels = samples["image"].reshape(-1, *self.image.pixel_shape)
        files = [tf.io.encode_png(image).numpy() for image in pixels]
        return {
            SERVING_DEFAULT: {"image": samples["image"]},
            SERVE_IMAGE_BYTES: {"image_bytes": np.array(files, object)},
            CLASSIFY: {"inputs": np.array([_example(file) for file in files], object)},
        }

    def expected(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """See `Servable`."""
        probabilities = self._probabilities(samples["image"]).numpy()
        class_id = probabilities.argmax(axis=-1)
        labels = np.array([label.encode() for label in self.labels], object)
        answer = {"probabilities": probabilities, "class_id": class_id, "label": labels[class_id]}
        classes = np.tile(labels, (len(probabilities), 1))
        return {
            SERVING_DEFAULT: answer,
            SERVE_IMAGE_BYTES: answer,
            CLASSIFY: {"classes": classes, "scores": probabilities},
        }

    def _probabilities(self, images: Any) -> Any:
        scores = self._raw_scores(images)
        return tf.nn.softmax(scores) if self._logits else scores

    def _raw_scores(self, images: Any) -> Any:
        outputs = self._scores.serve({self._input: self.image.preprocess(images)})
        return tf.cast(outputs[self._output], tf.float32)

    def _gives_scores(self) -> bool:
        activation = _last_activation(self.model)
        if activation is not None:
            return activation in ("softmax", "sigmoid")
        # The last step is no layer that we know: rows that sum to one on noise are probabilities already.
        noise = np.random.default_rng(0).integers(0, 256, (4, *self.image.raw_shape), np.uint8)
        rows = self._raw_scores(noise).numpy()
        return bool((rows >= 0).all() and np.allclose(rows.sum(axis=-1), 1, atol=1e-3))

    def _answer(self, images: Any) -> dict[str, Any]:
        probabilities = self._probabilities(images)
        class_id = tf.argmax(probabilities, axis=-1)
        return {"probabilities": probabilities, "class_id": class_id, "label": self._table.lookup(class_id)}

    def _classify(self, examples: Any) -> dict[str, Any]:
        features = tf.io.parse_example(examples, {EXAMPLE_FEATURE: tf.io.FixedLenFeature([], tf.string)})
        scores = self._probabilities(self.image.decode(features[EXAMPLE_FEATURE]))
        classes = self._table.lookup(tf.range(len(self.labels), dtype=tf.int64))
        return {"classes": tf.tile(classes[tf.newaxis], (tf.shape(scores)[0], 1)), "scores": scores}


def _example(file: bytes) -> bytes:
    example = messages.Example()
    example.features.feature[EXAMPLE_FEATURE].bytes_list.value.append(file)
    return example.SerializeToString()


def _check_input(call: Call, image: ImageInput) -> str:
    if len(call.specs) != 1:
        raise InvalidArgument(
            f"Expected a model with one input, because image= was given. Received: the inputs {list(call.specs)}. "
            "Leave image= out to export the inputs as they are."
        )
    [(name, spec)] = call.specs.items()
    shape = (-1, *image.model_shape)
    fits = len(spec.shape) == len(shape) and all(w in (-1, h) for w, h in zip(spec.shape, shape, strict=True))
    if not fits:
        raise InvalidArgument(
            f"Expected the model's input {name!r} to have the shape {list(shape)}, which image= describes. "
            f"Received: {list(spec.shape)}. Set ImageInput(shape=…) to the model's input without the batch."
        )
    return name


def _check_output(outputs: Mapping[str, Spec]) -> tuple[str, int]:
    """The name of the only output and the number of classes."""
    [(name, spec), *others] = outputs.items()
    if (
        others
        or len(spec.shape) != 2
        or spec.shape[1] < 2
        or not spec.dtype.endswith(("float16", "float32", "float64"))
    ):
        received = {name: spec.to_dict() for name, spec in outputs.items()}
        raise InvalidArgument(
            "Expected a classifier with one output of float scores (batch, classes), two classes or more, because "
            f"image= was given. Received: {received}. Leave image= out to export the model as it is."
        )
    return name, spec.shape[1]


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


def _last_activation(model: Any) -> str | None:
    """The name of the activation function behind the only output; None when it cannot be told from the layers."""
    structure = getattr(getattr(model, "_functional", None) or model, "_outputs_struct", None)
    found = [leaf for _, leaf in naming.leaves(structure)] if structure is not None else []
    layer = found[0]._keras_history.operation if found else None
    if hasattr(layer, "_outputs_struct") or hasattr(layer, "_functional"):
        return _last_activation(layer)
    return getattr(getattr(layer, "activation", None), "__name__", None)
