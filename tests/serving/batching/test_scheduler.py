"""Where and when models run: on a version whose runs wait until they are let go, so that others wait for them."""

import gc
import itertools
import time
import weakref

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted, Unavailable
from modelport_serving.batching.scheduler import Overloaded
from modelport_serving.core.harness import Handle, Harness
from modelport_serving.servables.batch_limits import BatchLimits
from modelport_serving.servables.saved_model_session import GraphSession
from modelport_serving.servables.servable import Servable
from tests.support.batching import M, outcomes, until

ASKED = BatchLimits(max_rows=8, max_run_rows=8)


def test_what_waits_shares_the_next_run(stage):
    async def scene(s):
        first = await s.begin_run(b"1")
        others = await s.begin_waiting([b"2"], [b"3", b"4"], [b"5"])
        s.go(2)
        assert await outcomes([first, *others]) == [([1], [1]), ([2], [4]), ([3, 4], [4, 4]), ([5], [4])]
        await until(lambda: not s.held)

    assert stage(scene).runs == [1, 3]


def test_what_may_not_share_a_run_has_its_own(stage):
    async def scene(s):
        first = await s.begin_run(b"1", merges=False)
        others = await s.begin_waiting([b"2"], [b"3"], merges=False)
        s.go(3)
        assert await outcomes([first, *others]) == [([1], [1]), ([2], [1]), ([3], [1])]

    assert stage(scene).runs == [1, 1, 1]


def test_one_brief_run_at_a_time_gathers_company_though_a_thread_is_free(stage):
    async def scene(s):
        first = await s.begin_run(b"1")
        others = await s.begin_waiting([b"2"], [b"3"])
        s.go(2)
        assert await outcomes([first, *others]) == [([1], [1]), ([2], [2]), ([3], [2])]

    assert stage(scene, threads=4).runs == [1, 2]


def test_runs_that_share_nothing_are_beside_one_another(stage):
    async def scene(s):
        first = await s.begin_run(b"1", merges=False)
        second = await s.begin_run(b"2", merges=False)
        assert not first.done()
        s.go(2)
        await outcomes([first, second])

    stage(scene, threads=2)


def test_a_queue_takes_its_turn_and_no_more(stage):
    """One client's hundred requests do not hold up another's one."""
    ended = []

    async def scene(s):
        first = await s.begin_run(b"0", merges=False)
        many = await s.begin_waiting([b"1"], [b"2"], [b"3"], merges=False)
        output = [s.servable.signatures["serving_default"].outputs["y"].tensor]
        (one,) = await s.begin_waiting([b"9"], merges=False, fetches=output)
        for task in (*many, one):
            task.add_done_callback(lambda done: ended.append(done.result()[0][0]))
        s.go(5)
        await outcomes([first, *many, one])

    stage(scene)
    assert ended[:2] in ([1, 9], [9, 1])


@pytest.mark.parametrize("limits", [None, ASKED], ids=["unasked", "asked"])
@pytest.mark.parametrize("bad", [b"\xff\xfe", b"odd", b""])
def test_an_error_is_its_own_requests(stage, limits, bad):
    """7,929 of 10,230 good requests failed with one whose kernel error quoted bytes that are no UTF-8."""

    async def scene(s):
        first = await s.begin_run(b"1")
        others = await s.begin_waiting([b"2"], [bad], [b"3"])
        s.go(9)
        found = await outcomes([first, *others])
        assert [found[index][0] for index in (0, 1, 3)] == [[1], [2], [3]]
        assert isinstance(found[2], InvalidArgument)
        await until(lambda: not s.held)

    stage(scene, limits)


@pytest.mark.parametrize(
    ("limits", "kind", "words"),
    [
        (None, DeadlineExceeded, "Timed out waiting for notification"),
        (ASKED, ResourceExhausted, "timeout exceeded while waiting in batching queue"),
    ],
    ids=["unasked", "asked"],
)
def test_a_deadline_is_met_while_a_request_waits(stage, limits, kind, words):
    async def scene(s):
        first = await s.begin_run(b"1")
        late, *others = [
            *await s.begin_waiting([b"2"], deadline=time.monotonic() + 0.1),
            *await s.begin_waiting([b"3"]),
        ]
        (error,) = await outcomes([late])
        assert isinstance(error, kind)
        assert words in error.message
        assert not first.done()
        assert (s.held, s.scheduler.waiting) == (2, 1)
        s.go(2)
        assert await outcomes([first, *others]) == [([1], [1]), ([3], [1])]

    assert stage(scene, limits).runs == [1, 1]


def test_what_is_too_late_when_its_turn_comes_is_not_run(stage):
    async def scene(s):
        first = await s.begin_run(b"1")
        (late,) = await s.begin_waiting([b"2"], deadline=time.monotonic())
        s.go(1)
        found = await outcomes([first, late])
        assert isinstance(found[1], DeadlineExceeded)

    assert stage(scene).runs == [1]


def test_what_was_cancelled_is_not_run_and_gives_its_handle_back(stage):
    async def scene(s):
        first = await s.begin_run(b"1")
        gone, stays = await s.begin_waiting([b"2"], [b"3"])
        gone.cancel()
        await until(lambda: s.scheduler.waiting == 1)
        assert s.held == 2
        s.go(2)
        assert (await outcomes([first, stays]))[1] == ([3], [1])
        await until(lambda: not s.held)

    assert stage(scene).runs == [1, 1]


def test_a_run_whose_client_is_gone_keeps_its_version(stage):
    async def scene(s):
        first = await s.begin_run(b"1")
        first.cancel()
        await outcomes([first])
        assert s.held == 1
        s.go(1)
        await until(lambda: not s.held)

    stage(scene)


def test_too_many_are_refused_at_once(stage):
    async def scene(s):
        first = await s.begin_run(b"1")
        waits = await s.begin_waiting([b"2"], [b"3"])
        (refused,) = await outcomes([s.begin(b"4")])
        assert isinstance(refused, Overloaded)
        assert refused.message.startswith("2 requests are waiting, and --max_waiting_requests is 2.")
        assert s.held == 3
        s.go(2)
        await outcomes([first, *waits])
        assert s.scheduler.waiting == 0

    stage(scene, max_waiting=2)


def test_a_full_queue_refuses(stage):
    async def scene(s):
        first = await s.begin_run(b"1")
        waits = await s.begin_waiting([b"2"], [b"3"])
        (refused,) = await outcomes([s.begin(b"4")])
        assert isinstance(refused, Unavailable)
        assert "currently 2 batches enqueued and max_enqueued_batches is 2" in refused.message
        assert s.held == 3
        s.go(3)
        await outcomes([first, *waits])

    stage(scene, BatchLimits(max_rows=1, max_run_rows=1, max_batches=2))


def test_a_full_batch_does_not_wait_for_its_time(stage):
    async def scene(s):
        s.go(1)
        tasks = [s.begin(b"%d" % number) for number in range(8)]
        assert await outcomes(tasks) == [([number], [8]) for number in range(8)]

    stage(scene, BatchLimits(max_rows=8, max_run_rows=8, timeout_s=1000.0))


def test_a_batch_that_is_not_full_waits_for_its_time(stage):
    async def scene(s):
        s.go(1)
        begin = time.monotonic()
        tasks = [s.begin(b"1"), s.begin(b"2")]
        assert await outcomes(tasks) == [([1], [2]), ([2], [2])]
        assert time.monotonic() - begin >= 0.1

    stage(scene, BatchLimits(max_rows=8, max_run_rows=8, timeout_s=0.1))


def test_what_cannot_be_batched_gives_its_handle_back(stage):
    async def scene(s):
        (refused,) = await outcomes([s.begin(*[b"1"] * 9)])
        assert isinstance(refused, InvalidArgument)
        assert (s.held, s.scheduler.waiting) == (0, 0)

    stage(scene, ASKED)


def test_at_the_end_what_waits_is_told(stage):
    async def scene(s):
        first = await s.begin_run(b"1")
        waits = await s.begin_waiting([b"2"], [b"3"])
        s.scheduler.abandon()
        found = await outcomes(waits)
        assert [(type(error), error.message) for error in found] == [(Unavailable, "The server is stopping.")] * 2
        assert s.scheduler.stop(0.05) is False, "a run is still under way"
        s.go(1)
        await outcomes([first])
        assert s.scheduler.stop(10) is True

    stage(scene)


def test_clients_cannot_make_queues_without_end(stage):
    """Outputs and inner shapes are the clients' choice."""

    async def scene(s):
        tensors = [info.tensor for info in s.servable.signatures["free"].outputs.values()]
        for fetches in itertools.product(tensors, repeat=9):
            await s.ask(b"1", signature="free", fetches=fetches)
        assert len(s.servable.queues) <= 256

    stage(scene)


def test_nothing_is_kept_of_an_unloaded_version(gated_files, stage):
    async def scene(s):
        servable = Servable(M, gated_files, GraphSession(gated_files), 0.0)
        gone = weakref.ref(servable)
        signature = servable.signatures["free"]
        handle = Handle(lambda harness: None, Harness(M, gated_files, 1), servable)
        feeds = {signature.inputs["x"].tensor: np.array([b"1"], object)}
        await s.scheduler.run(handle, feeds, [signature.outputs["y"].tensor], None, "Predict", merges=True)
        servable.close()
        del servable, handle, signature
        await s.ask(b"1", signature="free")  # the next run takes the place of the last

        def is_gone():
            gc.collect()
            return gone() is None

        await until(is_gone)

    stage(scene)
