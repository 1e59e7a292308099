"""A loaded version: its signatures, and running them.

The graph is run as the real server runs it: a TF1-style session fed and fetched by the tensor names of the
SignatureDef. Shapes are therefore as lenient as the operations themselves and dtypes as strict as the graph.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelport.errors import DeadlineExceeded
from modelport.wire import messages
from modelport_serving.batching import Limits
from modelport_serving.joining import Trust
from modelport_serving.session import GraphSession
from modelport_serving.states import ServableId

Array = np.ndarray[Any, np.dtype[Any]]

_MAX_TRUSTS = 256


@dataclass(frozen=True)
class TensorInfo:
    """One named input or output of a signature."""

    tensor: str  # name in the graph, "serving_default_x:0"
    dtype: int  # DataType number


@dataclass(frozen=True)
class Signature:
    """A SignatureDef, read once."""

    name: str
    method_name: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    defaults: Mapping[str, messages.TensorProto]
    proto: messages.SignatureDef
    joins: bool  # whether every input and output has an open first dimension

    def dtypes(self) -> dict[str, int]:
        """Alias of each input → DataType number."""
        return {alias: info.dtype for alias, info in self.inputs.items()}


class Servable:
    """One loaded version. `run` may be called from any thread; `close` once, when nobody runs it any more.

    Args:
        servable: name and version.
        path: the version's folder.
        session: the loaded graph.
        load_s: seconds that loading took.
        limits: how requests are joined, where that was asked for.
    """

    def __init__(
        self, servable: ServableId, path: Path, session: GraphSession, load_s: float, limits: Limits | None = None
    ) -> None:
        self.id = servable
        self.path = path
        self.load_s = load_s
        self.limits = limits
        self.warmup_s: float | None = None  # set by the warm-up; None when there was nothing to replay
        self._session = session
        self._trusts: dict[tuple[str, ...], Trust] = {}
        self.signatures = {name: _signature(name, data) for name, data in session.signature_defs.items()}

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], deadline: float | None = None) -> list[Array]:
        """Run the graph.

        Args:
            feeds: tensor name -> array of the tensor's dtype.
            fetches: tensor names.
            deadline: on the monotonic clock; None for no limit.

        Returns:
            The fetched arrays, in the order of `fetches`; strings as object arrays of bytes.

        Raises:
            ModelportError: with the code and text of the failing operation.
            DeadlineExceeded: the deadline passed before or while running.
        """
        if deadline is None:
            return self._session.run(feeds, fetches, None)
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("Timed out waiting for notification")  # the text of the real server
        return self._session.run(feeds, fetches, max(1, int(left * 1000)))

    def is_momentary(self, feeds: Sequence[str], fetches: Sequence[str], size: int) -> bool:
        """Whether running these inputs, of so many elements in all, is not worth a thread."""
        return self._session.is_momentary(feeds, fetches, size)

    def trust(self, fetches: tuple[str, ...]) -> Trust:
        """Whether requests for these outputs may share a run unasked; one object for all requests."""
        trust = self._trusts.get(fetches)
        if trust is None:
            if len(self._trusts) >= _MAX_TRUSTS:  # clients choose the outputs, and their order
                self._trusts.clear()
            trust = self._trusts[fetches] = Trust(self._session.keeps_rows_apart(fetches))
        return trust

    def close(self) -> None:
        """Free the session's memory."""
        self._session.close()


def _signature(name: str, data: bytes) -> Signature:
    proto = messages.SignatureDef.FromString(data)
    return Signature(
        name=name,
        method_name=proto.method_name,
        inputs={alias: TensorInfo(info.name, info.dtype) for alias, info in proto.inputs.items()},
        outputs={alias: TensorInfo(info.name, info.dtype) for alias, info in proto.outputs.items()},
        defaults=dict(proto.defaults),
        proto=proto,
        joins=all(_is_open(info) for infos in (proto.inputs, proto.outputs) for info in infos.values()),
    )


def _is_open(info: messages.TensorInfo) -> bool:
    dims = info.tensor_shape.dim
    return not info.tensor_shape.unknown_rank and len(dims) > 0 and dims[0].size < 0
