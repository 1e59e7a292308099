"""Waiting requests gathered into batches: what is put together, what is closed, what is taken out."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, Internal, ResourceExhausted, Unavailable
from modelport_serving.batching.batch_queue import BatchQueue, Task
from modelport_serving.batching.parameters import UNASKED
from modelport_serving.core.harness import Handle, Harness
from modelport_serving.core.servable_state import ServableId
from modelport_serving.servables.batch_limits import BatchLimits

ASKED = BatchLimits(max_rows=4, max_run_rows=4, timeout_s=10.0)
NOW, LATER = 0.0, 1e12  # deadlines on the monotonic clock


class Waiting:
    """A queue, and tasks put into it."""

    def __init__(self, limits=UNASKED, *, merges=True, brief=False):
        self.queue = BatchQueue(["y:0"], limits, merges=merges, brief=brief)
        self.released = 0
        self.woken = []

    def _give_back(self, harness):
        self.released += 1

    def _wake(self, batch):
        self.woken.append(batch)
        return asyncio.get_running_loop().call_later(1000, lambda: None)

    def add(self, rows, deadline=None):
        handle = Handle(self._give_back, Harness(ServableId("m", 1), Path("1"), 1), None)
        future = asyncio.get_running_loop().create_future()
        task = Task(handle, {"x": np.zeros(rows or 0)}, rows, deadline, "Predict", future)
        self.queue.add(task, self._wake)
        return task


def scene(play):
    """A test that runs on an event loop."""

    def test(*arguments, **named):
        async def run():
            play(*arguments, **named)

        asyncio.run(run())

    test.__name__, test.__doc__ = play.__name__, play.__doc__
    return test


def ran(queue, batch, seconds):
    batch.cost_s = seconds
    queue.ran(batch)


def sizes(queue):
    found = []
    while not queue.is_idle:
        batch, _ = queue.take()
        found.append(batch.rows)
        ran(queue, batch, 1.0)
    return found


@scene
def test_requests_fill_a_batch_and_open_the_next():
    waiting = Waiting(ASKED)
    for rows in (1, 2, 2, 1, 1, 3):
        waiting.add(rows)
    assert sizes(waiting.queue) == [3, 4, 3]


@scene
def test_what_does_not_merge_has_a_batch_each():
    waiting = Waiting(merges=False)
    for rows in (1, None, 2):
        waiting.add(rows)
    assert sizes(waiting.queue) == [1, 0, 2]


@scene
def test_a_request_without_rows_shares_no_run():
    waiting = Waiting(ASKED)
    for rows in (1, 0, 0, 1):
        waiting.add(rows)
    assert sizes(waiting.queue) == [1, 0, 1]


@scene
def test_a_batch_is_due_when_it_is_full_closed_or_need_not_wait():
    waiting = Waiting(ASKED)
    waiting.add(3)
    assert not waiting.queue.is_ready
    assert len(waiting.woken) == 1
    waiting.add(2)  # does not fit: nobody can join the first any more
    assert waiting.queue.is_ready
    assert waiting.queue.take()[0].rows == 3
    assert not waiting.queue.is_ready
    waiting.add(2)
    assert waiting.queue.is_ready, "it is full"
    unasked = Waiting()
    unasked.add(1)
    assert unasked.queue.is_ready
    assert unasked.woken == []


@scene
def test_one_brief_run_at_a_time_and_long_ones_beside_one_another():
    waiting = Waiting()
    waiting.add(1)
    batch, left = waiting.queue.take()
    assert left == 1
    waiting.add(1)
    assert not waiting.queue.is_ready, "it gathers company while a brief run is under way"
    ran(waiting.queue, batch, 100.0)
    waiting.queue.take()
    waiting.add(1)
    assert waiting.queue.is_ready, "a long run is not waited for"


@scene
def test_as_many_batches_wait_as_may():
    waiting = Waiting(BatchLimits(max_rows=1, max_run_rows=1, max_batches=2))
    waiting.add(1), waiting.add(1)
    with pytest.raises(Unavailable, match="currently 2 batches enqueued and max_enqueued_batches is 2"):
        waiting.add(1)


@pytest.mark.parametrize(("limits", "kind"), [(UNASKED, DeadlineExceeded), (ASKED, ResourceExhausted)])
@pytest.mark.parametrize("how", ["take", "drop_expired"])
def test_what_is_too_late_or_not_waited_for_is_ended_where_it_waits(limits, kind, how):
    @scene
    def play():
        waiting = Waiting(limits)
        late, gone, stays = waiting.add(1, NOW), waiting.add(1), waiting.add(1, LATER)
        gone.future.cancel()
        if how == "take":
            batch, left = waiting.queue.take()
            assert (batch.tasks, left) == ([stays], 3)
        else:
            assert waiting.queue.drop_expired() == 2
            batch, left = waiting.queue.take()
            assert (batch.tasks, batch.rows, left) == ([stays], 1, 1)
        assert isinstance(late.future.exception(), kind)
        assert waiting.released == 2
        assert not stays.future.done()

    play()


@scene
def test_a_batch_that_nobody_waits_for_is_no_run():
    waiting = Waiting()
    waiting.add(1).future.cancel()
    batch, left = waiting.queue.take()
    assert (batch.tasks, left, waiting.released) == ([], 1, 1)
    assert waiting.queue.is_idle
    waiting.add(1).future.cancel()
    assert waiting.queue.drop_expired() == 1
    assert waiting.queue.is_idle


@scene
def test_an_end_is_told_to_all_and_gives_all_back():
    waiting = Waiting(ASKED)
    tasks = [waiting.add(2) for _ in range(5)]
    waiting.queue.abandon(Unavailable("over"))
    assert all(isinstance(task.future.exception(), Unavailable) for task in tasks)
    assert waiting.released == 5
    assert waiting.queue.is_idle


@scene
def test_each_task_of_a_batch_has_its_own_outcome():
    waiting = Waiting()
    first, second, gone = waiting.add(1), waiting.add(1), waiting.add(1)
    batch, _ = waiting.queue.take()
    gone.future.cancel()
    batch.cost_s = 0.1
    batch.end([[np.zeros(1)], Internal("odd"), [np.zeros(1)]])
    assert first.future.result()[0].tolist() == [0]
    assert isinstance(second.future.exception(), Internal)
    assert waiting.released == 3
    assert waiting.queue.is_idle


@scene
def test_only_what_was_quick_is_run_where_it_stands():
    """On the event loop itself runs what is known to be over at once; never what was slow, or is larger."""
    waiting = Waiting(brief=True)

    def run(rows, seconds):
        waiting.add(rows)
        batch, _ = waiting.queue.take()
        ran(waiting.queue, batch, seconds)
        return batch.inline, batch.is_momentary

    assert run(1, 1e-5) == (True, False), "nothing is known yet"
    for _ in range(40):
        run(1, 1e-5)
    assert run(1, 1e-5) == (True, True)
    assert run(3, 1e-5) == (True, False), "larger than what was quick"
    assert run(6, 1e-5) == (True, True)
    assert run(1, 1.0) == (True, True)
    assert run(1, 1e-5) == (False, False)
    waiting = Waiting(brief=False)
    assert run(1, 1e-5) == (False, False)


@scene
def test_a_batch_waits_for_as_many_as_shared_the_last_run_and_a_lone_request_for_nobody():
    waiting = Waiting(brief=True)
    waiting.add(1)
    assert waiting.queue.is_ready
    batch, _ = waiting.queue.take()
    for _ in range(3):
        waiting.add(1)
    ran(waiting.queue, batch, 1e-5)
    batch, _ = waiting.queue.take()
    ran(waiting.queue, batch, 1e-5)
    assert len(batch.tasks) == 3
    waiting.add(1), waiting.add(1)
    assert not waiting.queue.is_ready
    assert len(waiting.woken) == 1, "for a moment only"
    waiting.add(1)
    assert waiting.queue.is_ready
