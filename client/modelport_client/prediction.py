"""The answer to a prediction: arrays by name, who gave them, and how people look at them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.errors import FailedPrecondition

if TYPE_CHECKING:
    import pandas

Array = np.ndarray[Any, np.dtype[Any]]

# The API's own sign of strings that are no text: its REST port writes them as base64.
BYTES_SUFFIX = "_bytes"
_SHOWN_ROWS = 10


class Prediction(dict[str, Array]):
    """Output name -> array, and who answered.

    The outputs are in the order of their names. Strings are text: an array of `str`. As bytes stay those of an output
    whose name ends in `_bytes`, which is how TensorFlow Serving's API marks what is no text, and those of an output in
    which not all values are UTF-8.

    Attributes:
        raw: the same with all strings as the bytes that came over the wire.
        model: the model that was asked.
        version: the version that answered.
        signature: the signature that was run.
    """

    def __init__(
        self, outputs: Mapping[str, Array], model: str, version: int | None = None, signature: str | None = None
    ) -> None:
        self.raw = dict(sorted(outputs.items()))  # a map on the wire has no order
        super().__init__({name: _readable(name, array) for name, array in self.raw.items()})
        self.model = model
        self.version = version
        self.signature = signature

    def to_pandas(self) -> pandas.DataFrame:
        """A frame with a row for each row of the answer.

        An output of rank 1 is a column of its name; one of shape (rows, n) is n columns `name_0` to `name_{n-1}`; one
        of a higher rank is a column of arrays.

        Raises:
            FailedPrecondition: the outputs have no common number of rows, or pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise FailedPrecondition("Expected pandas for a frame. Run: pip install pandas") from error
        return pandas.DataFrame(self.columns())

    def columns(self) -> dict[str, Array]:
        """Column name -> values of rank 1, as `to_pandas` has them.

        Raises:
            FailedPrecondition: the outputs have no common number of rows.
        """
        if self.rows is None:
            shapes = {name: list(array.shape) for name, array in self.items()}
            raise FailedPrecondition(f"Expected outputs with one value for each row. Received the shapes {shapes}")
        columns: dict[str, Array] = {}
        for name, array in self.items():
            if array.ndim == 2:
                columns |= {f"{name}_{place}": array[:, place] for place in range(array.shape[1])}
            else:
                columns[name] = array if array.ndim == 1 else _of_arrays(array)
        if len(columns) < sum(array.shape[1] if array.ndim == 2 else 1 for array in self.values()):
            raise FailedPrecondition(
                f"Expected outputs whose columns have names of their own. Received: {sorted(self)}"
            )
        return columns

    @property
    def rows(self) -> int | None:
        """How many rows all outputs have; None when they have not the same number, or one is a scalar."""
        counts = {len(array) if array.ndim else None for array in self.values()}
        return counts.pop() if len(counts) == 1 else None

    def __repr__(self) -> str:
        outputs = ", ".join(
            f"{name}: {array.dtype} {list(array.shape)} {_short(array)}" for name, array in self.items()
        )
        return f"<Prediction of {self._who()}: {outputs}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Prediction, (self.raw, self.model, self.version, self.signature)

    def _repr_html_(self) -> str:
        """A table of the first rows, as notebooks show it."""
        caption = html.escape(self._who())
        count = self.rows
        if count is None:
            lines = [
                f"<tr><th>{html.escape(name)}</th><td>{html.escape(f'{array.dtype} {list(array.shape)}')}</td>"
                f"<td>{html.escape(_short(array))}</td></tr>"
                for name, array in self.items()
            ]
            return f"<table><caption>{caption}</caption>{''.join(lines)}</table>"
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self)
        lines = [
            f"<tr><th>{row}</th>"
            + "".join(f"<td>{html.escape(_short(array[row]))}</td>" for array in self.values())
            + "</tr>"
            for row in range(min(count, _SHOWN_ROWS))
        ]
        more = f"<p>{count} rows in all</p>" if count > _SHOWN_ROWS else ""
        return f"<table><caption>{caption}</caption><tr><th></th>{head}</tr>{''.join(lines)}</table>{more}"

    def _who(self) -> str:
        return self.model if self.version is None else f"{self.model} version {self.version}"


def _readable(name: str, array: Array) -> Array:
    if array.dtype != object or name.endswith(BYTES_SUFFIX):
        return array
    text = np.empty(array.shape, object)
    try:
        text.reshape(-1)[:] = [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
    except UnicodeDecodeError:
        return array
    return text


def _of_arrays(array: Array) -> Array:
    column = np.empty(len(array), object)
    for row in range(len(array)):
        column[row] = array[row]
    return column


def _short(value: Any) -> str:
    """A value in less than a line."""
    if isinstance(value, np.ndarray):
        return np.array2string(
            value, precision=4, suppress_small=True, threshold=8, edgeitems=2, max_line_width=200
        ).replace("\n", "")
    return repr(value.item()) if isinstance(value, np.generic) else str(value)
