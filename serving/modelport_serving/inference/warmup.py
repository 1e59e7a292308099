"""Replay of `assets.extra/tf_serving_warmup_requests` before a version becomes available.

A TFRecord of PredictionLogs, each run through the data plane on the loading version; a request that fails, fails the
load. Source of limits and texts: `saved_model_warmup_util.cc` of TensorFlow Serving.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from modelport import tfrecord
from modelport.errors import InvalidArgument, Unimplemented
from modelport.wire import messages

RELATIVE_PATH = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000

# PredictionLog's oneof name -> how to run that kind of request on the loading version.
Replayers = Mapping[str, Callable[[Any], object]]


class WarmUp(NamedTuple):
    """What a warm-up did."""

    seconds: float
    records: int


def replay(version_path: Path, replayers: Replayers, iterations: int = 1) -> WarmUp | None:
    """Run every recorded request `iterations` times, in order; None when there is no warm-up file.

    Raises:
        InvalidArgument: a record is no PredictionLog, or there are more than 1000.
        Unimplemented: a record of a kind that no server replays.
        DataLoss: the file is no TFRecord.
        ModelportError: whatever a request raised.
    """
    path = version_path / RELATIVE_PATH
    if not path.is_file():
        return None
    begin = time.monotonic()
    number = 0
    for number, record in enumerate(tfrecord.read(path), 1):
        try:
            log = messages.PredictionLog.FromString(record)
        except DecodeError as error:
            raise InvalidArgument(f"Failed to parse warmup record: {record[:256]!r} from {path}") from error
        kind = log.WhichOneof("log_type")
        if kind is not None:
            if kind not in replayers:
                field = log.DESCRIPTOR.fields_by_name[kind]
                raise Unimplemented(f"Unsupported log_type for warmup: {field.number}")
            request = getattr(log, kind).request
            for _ in range(max(iterations, 1)):
                replayers[kind](request)
        if number > MAX_RECORDS:
            raise InvalidArgument(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    return WarmUp(time.monotonic() - begin, number)
