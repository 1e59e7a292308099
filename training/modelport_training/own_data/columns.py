"""The columns of a table: which are numbers and which are text, and what is wrong with a row.

Values come as Arrow arrays. In a CSV file all are text, and a column is of numbers when every value reads as one;
Parquet and JSON say themselves what is a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as arrow
from pyarrow import compute

from modelport.errors import InvalidArgument
from modelport_training.datasets.examples import Array

MOST_CLASSES = 1000  # more different values of a target are no classes
_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
)
_WITH_COMMA = re.compile(r"[+-]?\d+(?:[. ]\d{3})*(?:,\d+)+")  # 3,14 and 1.234,5; 1,000 as well
_CODE = r"^[+-]?0\d"  # a zero before other digits belongs to a name: 01123, 00
_BOOLEANS = ("true", "false", "True", "False", "TRUE", "FALSE")
_BYTES_OF_A_TEXT = 60  # of a Python object, beside its letters

Seen = tuple[int, str]  # a row, and its value


@dataclass
class Column:
    """What is known of a column once all of its values were seen.

    Args:
        name: in the file.
        is_text: said by the user, whatever its values read as.
        typed: whether the file says itself what is text.
    """

    name: str
    is_text: bool = False
    typed: bool = False
    kinds: dict[str, Seen] = field(default_factory=dict)  # number, comma, text, boolean, date: the first of each
    missing: int | None = None  # the first row without a value
    values: set[str] = field(default_factory=set)  # the first different ones
    bytes: int = 0  # of all as texts in memory
    large: Seen | None = None  # the first number that is infinite, or too large for float32
    seen: int = 0  # rows, with a value or without

    def look(self, first: int, values: Any) -> None:
        """See further values, from a row on."""
        self.seen += len(values)
        if values.null_count and self.missing is None:
            self.missing = first + int(compute.index(compute.is_null(values), True).as_py())
        known = values.drop_null()
        if not len(known):
            return
        row = first + int(compute.index(compute.is_valid(values), True).as_py())
        texts = compute.cast(known, arrow.string())
        self.bytes += _BYTES_OF_A_TEXT * len(values) + int(compute.sum(compute.binary_length(texts)).as_py())
        if len(self.values) < MOST_CLASSES:
            self.values |= set(compute.unique(texts).slice(0, MOST_CLASSES).to_pylist())
        kind = values.type
        if arrow.types.is_boolean(kind):
            self.kinds.setdefault("boolean", (row, texts[0].as_py()))
        elif arrow.types.is_temporal(kind):
            self.kinds.setdefault("date", (row, texts[0].as_py()))
        elif not arrow.types.is_string(kind):
            self.kinds.setdefault("number", (row, texts[0].as_py()))
            self._look_for_large(first, values)
        elif self.typed or self.is_text:
            self.kinds.setdefault("text", (row, texts[0].as_py()))
        elif _are_numbers(texts):
            self.kinds.setdefault("number", (row, texts[0].as_py()))
            self._look_for_large(first, values)
        else:
            for value in compute.unique(texts).to_pylist():
                found = _kind(value)
                if found not in self.kinds:
                    self.kinds[found] = (first + int(compute.index(values, value).as_py()), value)

    def _look_for_large(self, first: int, values: Any) -> None:
        """See a number that float32 has not."""
        with np.errstate(over="ignore"):
            wrong = np.isinf(as_numbers(values))
        if self.large is None and wrong.any():
            place = int(wrong.argmax())
            self.large = (first + place, str(values[place].as_py()))

    def kind(self, where: str) -> str:
        """ "number", "text" or "boolean".

        Raises:
            InvalidArgument: it is a mixture, or a date, or has no value at all.
        """
        if self.is_text:
            return "text"
        if not self.kinds:
            raise InvalidArgument(f"{where}: the column {self.name!r} has no value in any row. Take it out.")
        if set(self.kinds) <= {"date", "text"} and "date" in self.kinds:
            row, value = self.kinds["date"]
            raise InvalidArgument(
                f"{where}, row {row}: the column {self.name!r} is a date ({value!r}). A model has no use for a date as "
                "it is: make numbers of it (a weekday, days since), take it out, or say "
                f"--text {self.name}."
            )
        if "comma" in self.kinds:
            row, value = self.kinds["comma"]
            if set(self.kinds) <= {"comma", "number"}:
                raise InvalidArgument(
                    f"{where}, row {row}: the column {self.name!r} has numbers with a comma ({value!r}). Write them "
                    f"with a point and without separators, or say --text {self.name} where they are names."
                )
            self.kinds.setdefault("text", self.kinds.pop("comma"))
        if len(self.kinds) > 1:
            (row, value), (other, another) = sorted(self.kinds.values())[:2]
            raise InvalidArgument(
                f"{where}, row {other}: the column {self.name!r} is mixed: {another!r}, and in row {row} {value!r}. "
                f"Put it right, or say --text {self.name} where both are names."
            )
        if self.large is not None:
            row, value = self.large
            raise InvalidArgument(
                f"{where}, row {row}: the column {self.name!r} has {value!r}, which is no number that float32 has."
            )
        return next(iter(self.kinds))


def as_numbers(values: Any) -> Array:
    """Values of a column of numbers, or of true and false: float32, NaN where there is none."""
    if arrow.types.is_string(values.type):
        plain = compute.utf8_trim_whitespace(values)
        values = plain if _are_numbers(values.drop_null()) else compute.cast(plain, arrow.bool_())
    found = compute.fill_null(compute.cast(values, arrow.float64(), safe=False), float("nan"))
    with np.errstate(over="ignore"):  # infinite ones are told with their row
        return np.asarray(found.to_numpy(zero_copy_only=False), np.float32)


def as_texts(values: Any) -> Array:
    """Values of a column of text; empty where there is none."""
    texts = compute.fill_null(compute.cast(values, arrow.string()), "")
    return np.asarray(texts.to_numpy(zero_copy_only=False))


def _are_numbers(texts: Any) -> bool:
    plain = compute.utf8_trim_whitespace(texts)
    if compute.any(compute.match_substring_regex(plain, _CODE)).as_py():
        return False
    try:
        compute.cast(plain, arrow.float64())
    except arrow.ArrowInvalid:
        return False
    return True


def _kind(told: str) -> str:
    if told in _BOOLEANS:
        return "boolean"
    if _are_numbers(arrow.array([told])):
        return "number"
    if _DATE.fullmatch(told):
        return "date"
    return "comma" if _WITH_COMMA.fullmatch(told.strip()) else "text"
