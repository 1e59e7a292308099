"""The mark of tests that let a tracer fail or kill at system calls."""

import pytest

from tests.torture import kills

TRACER = pytest.mark.skipif(kills.strace() is None, reason="no strace that may trace here: apt-get install strace")
