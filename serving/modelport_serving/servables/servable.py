"""A loaded version: its signatures, and running them.

The graph is run as the real server runs it: a session fed and fetched by the tensor names of the SignatureDef. Shapes
are therefore as lenient as the operations themselves and dtypes as strict as the graph.
"""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from modelport.errors import DeadlineExceeded
from modelport.wire import messages
from modelport_serving.core.servable_state import ServableId
from modelport_serving.servables.batch_limits import BatchLimits
from modelport_serving.servables.saved_model_session import GraphSession

Array = np.ndarray[Any, np.dtype[Any]]
Joins = Literal["all", "proven", "none"]  # --join_requests


@dataclass(frozen=True)
class TensorInfo:
    """One named input or output of a signature."""

    tensor: str  # name in the graph, "serving_default_x:0"; "" for what is no single dense tensor
    dtype: int  # DataType number
    shape: tuple[int, ...] | None = None  # as declared: -1 for a dimension that varies, None for an unknown rank

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array has the declared shape; the graph itself may take others."""
        if self.shape is None or len(shape) != len(self.shape):
            return False
        return all(want in (-1, have) for want, have in zip(self.shape, shape, strict=True))


@dataclass(frozen=True)
class Signature:
    """A SignatureDef, read once."""

    name: str
    method_name: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    defaults: Mapping[str, messages.TensorProto]
    proto: messages.SignatureDef
    steady: bool  # the time of a run follows from its shapes, for inputs of the declared ones; so it was proven
    merges: bool  # requests of the declared shapes that wait anyway may share a run

    def fits(self, inputs: Mapping[str, Array]) -> bool:
        """Whether all inputs are there, in the declared shapes: what was proven, was proven of those."""
        return len(inputs) == len(self.inputs) and all(self.inputs[a].fits(array.shape) for a, array in inputs.items())

    def dtypes(self) -> dict[str, int]:
        """Alias of each input → DataType number."""
        return {alias: info.dtype for alias, info in self.inputs.items()}


class Servable:
    """One loaded version. `run` may be called from any thread; `close` once, when nobody runs it any more.

    Args:
        servable_id: name and version.
        path: the version's folder.
        session: the loaded graph.
        load_s: seconds that loading took.
        limits: how requests are batched, where that was asked for.
        joins: which signatures' requests may share a run without having been asked to.
        proven: names of the signatures whose rows the publisher proved to be independent.
        loop_free: names of those whose graphs have no loops.

    Attributes:
        queues: the scheduler's, of this version's requests; gone with it.
        warmup_s: seconds that the warm-up took; None when there was nothing to replay.
    """

    def __init__(
        self,
        servable_id: ServableId,
        path: Path,
        session: GraphSession,
        load_s: float,
        limits: BatchLimits | None = None,
        joins: Joins = "proven",
        proven: Container[str] = (),
        loop_free: Container[str] = (),
    ) -> None:
        self.id = servable_id
        self.path = path
        self.load_s = load_s
        self.limits = limits
        self.warmup_s: float | None = None
        self.queues: dict[Any, Any] = {}
        self._session = session
        self.signatures = {
            name: _signature(name, data, joins, name in proven, name in loop_free)
            for name, data in session.signature_defs.items()
        }

    def run(
        self,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        deadline: float | None = None,
        *,
        inline: bool = False,
    ) -> list[Array]:
        """Run the graph.

        Args:
            feeds: tensor name → array of the tensor's dtype.
            fetches: tensor names.
            deadline: on the monotonic clock; None for no limit.
            inline: see `GraphSession.run`.

        Returns:
            The fetched arrays, in the order of `fetches`; strings as object arrays of bytes.

        Raises:
            ModelportError: with the code and text of the failing operation.
            DeadlineExceeded: the deadline passed before or while running.
        """
        if deadline is None:
            return self._session.run(feeds, fetches, inline=inline)
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("Timed out waiting for notification")  # the text of the real server
        return self._session.run(feeds, fetches, int(left * 1000), inline=inline)

    def close(self) -> None:
        """Free the session's memory."""
        self._session.close()


def _signature(name: str, data: bytes, joins: Joins, proven: bool, loop_free: bool) -> Signature:
    proto = messages.SignatureDef.FromString(data)
    is_open = all(_is_open(info) for infos in (proto.inputs, proto.outputs) for info in infos.values())
    return Signature(
        name=name,
        method_name=proto.method_name,
        inputs={alias: _tensor(info) for alias, info in proto.inputs.items()},
        outputs={alias: _tensor(info) for alias, info in proto.outputs.items()},
        defaults=dict(proto.defaults),
        proto=proto,
        steady=proven and loop_free and is_open,
        merges=is_open and (joins == "all" or (joins == "proven" and proven)),
    )


def _tensor(info: messages.TensorInfo) -> TensorInfo:
    shape = info.tensor_shape
    return TensorInfo(info.name, info.dtype, None if shape.unknown_rank else tuple(dim.size for dim in shape.dim))


def _is_open(info: messages.TensorInfo) -> bool:
    """Whether its first dimension is declared to vary: what a shared run needs of every input and output."""
    dims = info.tensor_shape.dim
    return not info.tensor_shape.unknown_rank and len(dims) > 0 and dims[0].size < 0
