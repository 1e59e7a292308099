"""Examples in memory, and streams of examples: whatever people hold in their hands, made one of the two.

Inputs and targets are trees: one array, or dicts, lists and tuples of arrays with one row an example.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelport.errors import InvalidArgument

_LOOKED_AT = 64  # examples, to see whether a second pass gives the same ones

Array = NDArray[Any]
Tree = Any  # an array, or a dict, list or tuple of trees


@dataclass(frozen=True)
class Examples:
    """Examples in memory.

    Args:
        inputs: tree of arrays, one row an example; frames count as dicts of their columns.
        targets: likewise.
        weights: float32 (N,), how much each example counts; None for 1.

    Raises:
        InvalidArgument: the arrays differ in their number of rows, or hold what is no number and no text.
    """

    inputs: Tree
    targets: Tree
    weights: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", as_arrays(self.inputs))
        object.__setattr__(self, "targets", as_arrays(self.targets))
        if self.weights is not None:
            object.__setattr__(self, "weights", np.asarray(self.weights, np.float32))
        counts = {path: len(array) if array.ndim else -1 for path, array in self._leaves()}
        if len(set(counts.values())) != 1 or -1 in counts.values():
            raise InvalidArgument(f"Expected arrays with one row for each example. Received: {counts} rows.")

    def __len__(self) -> int:
        return len(self._leaves()[0][1])

    def _leaves(self) -> list[tuple[str, Array]]:
        weights = [] if self.weights is None else [("weights", self.weights)]
        return [*leaves(self.inputs, "inputs"), *leaves(self.targets, "targets"), *weights]

    def take(self, rows: Any) -> Examples:
        """Some of them, by an index of rows."""
        return Examples(
            map_tree(lambda array: array[rows], self.inputs),
            map_tree(lambda array: array[rows], self.targets),
            None if self.weights is None else self.weights[rows],
        )

    def update(self, digest: Any) -> None:
        """Add names, dtypes, shapes and bytes of all arrays to a digest."""
        for path, array in self._leaves():
            if "." in path:  # of a tree; a single array has no name of its own
                digest.update(path.encode())
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            if array.dtype == object:
                for value in array.ravel():
                    text = value if isinstance(value, bytes) else str(value).encode()
                    digest.update(len(text).to_bytes(8, "little") + text)
            else:
                digest.update(np.ascontiguousarray(array).view(np.uint8).data)


class Stream:
    """Examples that are read anew for every pass, in memory that does not grow with their number.

    Args:
        make: gives a tf.data.Dataset of single examples, (inputs, targets) or with a weight as a third; the same ones
            in the same order at every call.
        count: how many; None to find out, by one pass.
        fingerprint: of their bytes; None to find out, by one pass.
    """

    def __init__(self, make: Callable[[], Any], count: int | None = None, fingerprint: str | None = None) -> None:
        self.make = make
        self._count, self._fingerprint = count, fingerprint

    @classmethod
    def of(cls, dataset: Any) -> Stream:
        """Of a tf.data.Dataset of batches, as `fit` takes them.

        Raises:
            InvalidArgument: its elements are no pairs of inputs and targets, or no batches.
        """
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise InvalidArgument(
                "Expected a tf.data.Dataset of (inputs, targets) or (inputs, targets, weights), as fit takes it. "
                f"Received elements of {spec}."
            )
        ranks = [one.shape.rank for one in flatten(spec)]
        if 0 in ranks:
            raise InvalidArgument(
                f"Expected a tf.data.Dataset of batches, as fit takes it: .batch(32). Received elements of {spec}."
            )
        if int(dataset.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
            raise InvalidArgument(
                "Expected a tf.data.Dataset that ends: without .repeat(). Received: one without an end."
            )
        stream = cls(dataset.unbatch)
        if stream._beginning() != stream._beginning():
            raise InvalidArgument(
                "Expected a tf.data.Dataset that gives the same examples in the same order at every pass: without "
                ".shuffle(), and random changes within the model. Received: one whose first examples differ from pass "
                "to pass. Training shuffles by itself, so that a run can be resumed and no validation example is seen."
            )
        return stream

    def __len__(self) -> int:
        if self._count is None:
            self._count, self._fingerprint = self._read_through()
        return self._count

    def update(self, digest: Any) -> None:
        """Add what identifies them to a digest."""
        if self._fingerprint is None:
            self._count, self._fingerprint = self._read_through()
        digest.update(self._fingerprint.encode())

    def _beginning(self) -> str:
        """A digest of the first examples."""
        digest = hashlib.sha256()
        for example in self.make().take(_LOOKED_AT).as_numpy_iterator():
            for leaf in flatten(example):
                digest.update(np.asarray(leaf).tobytes())
        return digest.hexdigest()

    def _read_through(self) -> tuple[int, str]:
        digest, count = hashlib.sha256(), 0
        for batch in self.make().batch(64).as_numpy_iterator():
            arrays = [np.asarray(leaf) for leaf in flatten(batch)]
            count += len(arrays[0])
            Examples(arrays[0], arrays[1:]).update(digest)
        return count, digest.hexdigest()


def as_split(given: Any, name: str) -> Examples | Stream:
    """What somebody gives for a split: (inputs, targets), with weights as a third, or a tf.data.Dataset of batches.

    Raises:
        InvalidArgument: it is none of these.
    """
    if isinstance(given, Examples | Stream):
        return given
    if isinstance(given, Sequence) and len(given) in (2, 3):
        return Examples(*given)
    if hasattr(given, "element_spec"):
        return Stream.of(given)
    raise InvalidArgument(
        f"Expected (inputs, targets), (inputs, targets, weights) or a tf.data.Dataset of batches as the {name} split. "
        f"Received: {type(given).__name__}."
    )


def as_arrays(given: Any, path: str = "data") -> Tree:
    """Frames as dicts of columns, series and lists as arrays; texts as objects.

    Raises:
        InvalidArgument: a value is missing, or neither number nor text.
    """
    if isinstance(given, Mapping):
        return {str(name): as_arrays(value, f"{path}.{name}") for name, value in given.items()}
    if isinstance(given, tuple) or (isinstance(given, list) and given and hasattr(given[0], "shape")):
        return type(given)(as_arrays(value, f"{path}.{place}") for place, value in enumerate(given))
    names = getattr(given, "column_names", getattr(given, "columns", None))  # Arrow; pandas and Polars
    if names is not None and not hasattr(given, "dtype"):
        return {str(name): as_arrays(given[name], f"{path}.{name}") for name in names}
    array = given if isinstance(given, np.ndarray) else np.asarray(given)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if array.dtype == object:
        wrong = next((row for row, value in enumerate(array.ravel()) if not isinstance(value, str | bytes)), None)
        if wrong is not None:
            raise InvalidArgument(
                f"Expected numbers, or text, in {path}. Received: {array.ravel()[wrong]!r} in row {wrong}."
            )
    elif array.dtype.kind not in "biufV":  # V: bfloat16 and its kind
        raise InvalidArgument(f"Expected numbers or text in {path}. Received: {array.dtype}.")
    return array


def leaves(tree: Tree, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of a tree with their paths."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from leaves(value, f"{path}.{name}")
    elif isinstance(tree, list | tuple):
        for place, value in enumerate(tree):
            yield from leaves(value, f"{path}.{place}")
    else:
        yield path, tree


def flatten(tree: Tree) -> list[Any]:
    """The leaves of a tree."""
    return [leaf for _, leaf in leaves(tree, "")]


def map_tree(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same tree with other leaves."""
    if isinstance(tree, Mapping):
        return {name: map_tree(function, value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map_tree(function, value) for value in tree)
    return function(tree)
