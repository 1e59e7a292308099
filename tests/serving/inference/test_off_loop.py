"""What is large is done beside the event loop, what is small at once."""

import asyncio
import gc
import threading

import numpy as np
import pytest

from modelport_serving.inference.off_loop import LARGE_BYTES, LARGE_COUNT, OffLoop, is_large


def test_small_work_is_done_at_once_and_large_on_a_thread():
    async def scene():
        off_loop = OffLoop()
        assert await off_loop.run(False, threading.get_ident) == threading.get_ident()
        assert await off_loop.run(True, threading.get_ident) != threading.get_ident()
        for large in (False, True):
            with pytest.raises(ZeroDivisionError):
                await off_loop.run(large, divmod, 1, 0)
        off_loop.stop()

    asyncio.run(scene())


def test_the_loop_goes_on_and_a_second_one_finds_a_thread():
    """A request that is read for long stopped health checks and all of gRPC for seconds."""

    async def scene():
        off_loop, go = OffLoop(), threading.Event()
        long = asyncio.create_task(off_loop.run(True, go.wait, 60))
        await asyncio.sleep(0)
        assert await off_loop.run(True, int, "7") == 7
        assert not long.done()
        go.set()
        assert await long
        off_loop.stop()

    asyncio.run(scene())


def test_the_collector_pauses_while_something_is_large():
    """With millions of values about, each look of it took seconds, and everybody waited."""

    async def scene():
        off_loop, go = OffLoop(), threading.Event()
        long = asyncio.create_task(off_loop.run(True, go.wait, 60))
        await asyncio.sleep(0)
        assert await off_loop.run(True, gc.isenabled) is False
        assert not gc.isenabled(), "another one is still under way"
        go.set()
        assert await long
        assert gc.isenabled()
        with pytest.raises(ZeroDivisionError):
            await off_loop.run(True, divmod, 1, 0)
        assert gc.isenabled()
        off_loop.stop()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("arrays", "large"),
    [
        ([], False),
        ([np.zeros(LARGE_BYTES, np.uint8)], False),
        ([np.zeros(LARGE_BYTES + 1, np.uint8)], True),
        ([np.zeros(LARGE_BYTES // 2 + 1, np.uint8)] * 2, True),
        ([np.full(LARGE_COUNT, b"", object)], False),
        ([np.full(LARGE_COUNT + 1, b"", object)], True),
    ],
)
def test_what_is_large(arrays, large):
    assert is_large(arrays) is large
