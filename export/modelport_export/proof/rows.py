"""What the rows of a signature are: which inputs have them, and how many a request must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelport.errors import InvalidArgument
from modelport_export.signatures import Array, Spec


@dataclass(frozen=True)
class Rows:
    """How samples of a signature are cut into requests, unit by unit.

    A unit is one row where the first dimension is open, else as many rows as the signature asks for. Inputs without a
    first dimension that varies alike belong to every request as they are.

    Attributes:
        aliases: inputs that are cut.
        unit: rows of one unit.
        is_open: whether a request may have several units.
    """

    aliases: frozenset[str]
    unit: int
    is_open: bool

    @classmethod
    def of(cls, inputs: Mapping[str, Spec]) -> Rows:
        """The rows of a signature's inputs."""
        firsts = {alias: spec.shape[0] for alias, spec in inputs.items() if spec.shape}
        unknown = {alias for alias, spec in inputs.items() if spec.shape is None}
        varying = unknown | {alias for alias, size in firsts.items() if size < 0}
        if varying:
            return cls(frozenset(varying), 1, is_open=True)
        sizes = set(firsts.values())
        if len(sizes) == 1 and len(firsts) == len(inputs):
            return cls(frozenset(firsts), max(1, *sizes), is_open=False)
        return cls(frozenset(), 1, is_open=False)

    def count(self, samples: Mapping[str, Array]) -> int:
        """The number of whole units."""
        if not self.aliases:
            return 1
        return min(len(samples[alias]) for alias in self.aliases) // self.unit

    def take(self, samples: Mapping[str, Array], units: Sequence[int]) -> dict[str, Array]:
        """A request of some units; of one where no request may have more."""
        rows = np.concatenate([np.arange(unit * self.unit, (unit + 1) * self.unit) for unit in units])
        return {alias: array[rows] if alias in self.aliases else array for alias, array in samples.items()}

    def check(self, arrays: Mapping[str, Array]) -> None:
        """Refuse samples of which no request can be made.

        Raises:
            InvalidArgument: inputs differ in rows, or there are none, or fewer than a request must have.
        """
        for alias in self.aliases:
            if not arrays[alias].ndim:
                raise InvalidArgument(f"Expected samples of input {alias!r} to be rows. Received: one value alone.")
        rows = {alias: len(array) for alias, array in arrays.items() if alias in self.aliases}
        if rows and (len(set(rows.values())) != 1 or 0 in rows.values()):
            raise InvalidArgument(
                f"Expected as many samples of one input as of the others, one at least. Received: {rows}"
            )
        if rows and min(rows.values()) < self.unit:
            raise InvalidArgument(
                f"Expected {self.unit} samples or more, because the model takes {self.unit} rows at a time. Received: "
                f"{rows}"
            )
