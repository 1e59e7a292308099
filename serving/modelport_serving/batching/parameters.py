"""BatchingParameters → checked limits, with the real server's defaults, order of checks and texts.

Source: `bundle_factory_util.cc` of TensorFlow Serving and `shared_batch_scheduler.h` of TensorFlow.
"""

from __future__ import annotations

import os
from pathlib import Path

from modelport.errors import InvalidArgument
from modelport.serverconfig import BatchingParameters, parse_batching, read
from modelport_serving.servables.batch_limits import BatchLimits

PER_MODEL_FILE = "batching_params.pbtxt"


UNASKED = BatchLimits(max_rows=256, max_run_rows=256, asked=False)
"""What waits anyway may share a run of so many rows: past that, a run of a small model gains little."""


def thread_count(parameters: BatchingParameters) -> int:
    """How many runs may be under way at a time, for all models together.

    Raises:
        InvalidArgument: not a positive number.
    """
    number = parameters.num_batch_threads
    if number is not None and number < 1:
        raise InvalidArgument(f"num_batch_threads must be positive; was {number}")
    return number or os.cpu_count() or 1


def limits_of(parameters: BatchingParameters) -> BatchLimits:
    """Check the parameters that concern a model; done at each load, as in the real server.

    Raises:
        InvalidArgument: with the real server's text.
    """
    max_rows = 1000 if parameters.max_batch_size is None else parameters.max_batch_size
    splits = bool(parameters.enable_large_batch_splitting)
    run_rows = parameters.max_execution_batch_size if splits else None
    if run_rows is None:
        run_rows = max_rows
    elif parameters.max_batch_size is None:
        max_rows = 0
    timeout = parameters.batch_timeout_micros or 0
    batches = 10 if parameters.max_enqueued_batches is None else parameters.max_enqueued_batches
    sizes = parameters.allowed_batch_sizes
    if sizes and sizes[-1] != run_rows:
        raise InvalidArgument(
            "Last entry in allowed_batch_sizes must match max_batch_size; "
            f"last entry was {sizes[-1]}; expected {run_rows}"
        )
    if max_rows < 1:
        raise InvalidArgument(f"input_batch_size_limit must be positive; was {max_rows}")
    if timeout < 0:
        raise InvalidArgument(f"batch_timeout_micros must be non-negative; was {timeout}")
    if batches < 1:
        raise InvalidArgument(f"max_enqueued_batches must be positive; was {batches}")
    if splits and not 0 < run_rows <= max_rows:
        raise InvalidArgument(
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
            f"max_execution_batch_size. Received: {max_rows} and {run_rows}"
        )
    return BatchLimits(
        max_rows=max_rows,
        max_run_rows=run_rows,
        timeout_s=timeout / 1e6,
        max_batches=batches,
        sizes=tuple(sorted(sizes)),
        pad=parameters.pad_variable_length_inputs,
        splits=splits,
    )


def limits_in(version_path: Path) -> BatchLimits | None:
    """The limits of a version that brings its own parameters; None for one that does not and so is not batched.

    Raises:
        InvalidArgument: the file is no BatchingParameters, or they make no sense.
    """
    path = version_path / PER_MODEL_FILE
    return limits_of(parse_batching(read(path), repr(str(path)))) if path.is_file() else None
