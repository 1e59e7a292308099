"""BatchingParameters → limits: the real server's defaults, checks and texts."""

import pytest

from modelport.errors import InvalidArgument
from modelport.serverconfig import BatchingParameters
from modelport_serving.batching.parameters import limits_of, thread_count


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"max_batch_size": 8, "allowed_batch_sizes": (2, 4)},
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        ({"max_batch_size": 0}, "input_batch_size_limit must be positive; was 0"),
        ({"batch_timeout_micros": -1}, "batch_timeout_micros must be non-negative; was -1"),
        ({"max_enqueued_batches": 0}, "max_enqueued_batches must be positive; was 0"),
        (
            {"max_batch_size": 4, "enable_large_batch_splitting": True, "max_execution_batch_size": 8},
            "must be greater than or equal to max_execution_batch_size",
        ),
    ],
)
def test_parameters_that_make_no_sense(fields, words):
    with pytest.raises(InvalidArgument, match=words):
        limits_of(BatchingParameters(**fields))


def test_the_defaults_are_the_real_servers():
    limits = limits_of(BatchingParameters())
    assert (limits.max_rows, limits.max_run_rows, limits.timeout_s, limits.max_batches) == (1000, 1000, 0, 10)
    assert thread_count(BatchingParameters(num_batch_threads=3)) == 3
    with pytest.raises(InvalidArgument, match="num_batch_threads must be positive; was 0"):
        thread_count(BatchingParameters(num_batch_threads=0))
