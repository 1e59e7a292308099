"""How requests are joined into one run: the file of `--batching_parameters_file`."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.serverconfig.text import format_message, parse
from modelport.wire import messages

# Fields of the message that tell unset from zero.
_WRAPPED = (
    "max_batch_size",
    "batch_timeout_micros",
    "max_enqueued_batches",
    "num_batch_threads",
    "thread_pool_name",
    "enable_large_batch_splitting",
    "max_execution_batch_size",
)


@dataclass(frozen=True)
class BatchingParameters:
    """How requests are joined; None leaves the server's default (in parentheses)."""

    max_batch_size: int | None = None  # rows (1000)
    batch_timeout_micros: int | None = None  # how long an under-full batch may wait (0)
    max_enqueued_batches: int | None = None  # per queue (10)
    num_batch_threads: int | None = None  # shared by all models (number of cores)
    thread_pool_name: str | None = None
    allowed_batch_sizes: tuple[int, ...] = ()  # batches are padded up to the next of these
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool | None = None
    max_execution_batch_size: int | None = None  # rows, with splitting only


def parse_batching(text: str, source: str = "the text") -> BatchingParameters:
    """Read BatchingParameters. Raises InvalidArgument as `parse_models` does."""
    message = parse(text, messages.BatchingParameters, source)
    return BatchingParameters(
        **{name: getattr(message, name).value for name in _WRAPPED if message.HasField(name)},
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )


def format_batching(parameters: BatchingParameters) -> str:
    """Write BatchingParameters; what is None is left out."""
    message = messages.BatchingParameters(
        allowed_batch_sizes=parameters.allowed_batch_sizes,
        pad_variable_length_inputs=parameters.pad_variable_length_inputs,
    )
    for name in _WRAPPED:
        if (value := getattr(parameters, name)) is not None:
            field = getattr(message, name)
            field.SetInParent()  # zero is a value too
            field.value = value
    return format_message(message)
