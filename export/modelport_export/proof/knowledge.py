"""What a model's own preprocessing tells about its inputs: words, numbers of classes, means, ranges of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from modelport_export.keras_layers import layers_of
from modelport_export.signatures import Array

_MOST_WORDS = 1000  # of each vocabulary: enough to meet its beginning and to stay quick
_WORDS = ("a", "b", "modelport")  # also words that no vocabulary has


@dataclass(frozen=True)
class Knowledge:
    """What values of inputs may be.

    Attributes:
        vocabularies: of layers that look words up.
        texts: whether words come as sentences.
        numbers: whole numbers that a layer looks up.
        indices: integers below this fit every table of indices; 2 where nothing is known.
        normal: means and standard deviations of normalised features, each of one shape.
        pixels: whether values are 0 to 255.
    """

    vocabularies: Sequence[Sequence[str]] = ()
    texts: bool = False
    numbers: Sequence[int] = ()
    indices: int = 2
    normal: Sequence[tuple[Array, Array]] = field(default_factory=tuple)
    pixels: bool = False

    def words(self) -> list[list[bytes]]:
        """Vocabularies, with words that are in none."""
        return [[word.encode() for word in words] for words in (*self.vocabularies, _WORDS)]


def of(model: Any) -> Knowledge:
    """Gather what the layers know."""
    vocabularies: list[list[str]] = []
    numbers: list[int] = []
    sizes: list[int] = []
    normal: list[tuple[Array, Array]] = []
    texts = pixels = False
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.TextVectorization):
            texts = True
            vocabularies.append([word for word in layer.get_vocabulary() if word][:_MOST_WORDS])
        elif isinstance(layer, keras.layers.StringLookup):
            if not layer.invert:
                vocabularies.append([str(word) for word in layer.get_vocabulary()][:_MOST_WORDS])
        elif isinstance(layer, keras.layers.IntegerLookup):
            if not layer.invert:
                numbers += [int(number) for number in layer.get_vocabulary()][:_MOST_WORDS]
        elif isinstance(layer, keras.layers.Normalization):
            if layer.mean is not None and not layer.invert:
                mean, variance = (np.asarray(keras.ops.convert_to_numpy(v)) for v in (layer.mean, layer.variance))
                normal.append((np.squeeze(mean), np.squeeze(np.sqrt(variance))))
        elif isinstance(layer, keras.layers.Embedding):
            sizes.append(layer.input_dim)
        elif isinstance(layer, keras.layers.CategoryEncoding):
            sizes.append(layer.num_tokens)
        elif isinstance(layer, keras.layers.Rescaling):
            pixels = pixels or bool(np.all(np.abs(np.asarray(layer.scale)) <= 1 / 64))  # such as 1/255 and 1/127.5
    return Knowledge(vocabularies, texts, numbers, max(1, min(sizes, default=2)), normal, pixels)
