"""The manager, driven with servables that only note what becomes of them."""

import threading

import pytest

from modelport.errors import DataLoss, NotFound
from modelport_serving.core.servable_state import State
from tests.support.tiny_servables import Loader, Tiny, error_of, managing, paths
from tests.support.waiting import eventually

MINUTE_S = 60.0


def test_a_version_becomes_available_and_ends():
    load = Loader()
    with managing(load) as (manager, told):
        manager.set_aspired("m", paths(1))
        eventually(lambda: told.state("m") is State.AVAILABLE)
        assert (manager.available("m"), manager.settled("m"), manager.names()) == ([1], True, ["m"])
        manager.set_aspired("m", {})
        eventually(lambda: told.state("m") is State.END)
        assert load.loaded["m", 1].closed.is_set()
    assert told.posts == [
        ("m", 1, state) for state in (State.START, State.LOADING, State.AVAILABLE, State.UNLOADING, State.END)
    ]


def test_a_broken_model_waits_for_its_next_attempt_without_a_thread():
    """A good version of another model waited for five pauses of a minute: they held the only load thread."""
    with managing(Loader({"bad": DataLoss("no graph")}), load_threads=1, retry_interval_s=MINUTE_S) as (manager, told):
        manager.set_aspired("bad", paths(1))
        eventually(lambda: told.lines)
        manager.set_aspired("good", paths(1))
        eventually(lambda: told.state("good") is State.AVAILABLE)
        assert told.state("bad") is State.LOADING
        assert told.lines == [
            "bad version 1: attempt 1 of 6 to load it failed, the next is in 60 s. DATA_LOSS: no graph"
        ]


def test_it_can_be_enough_to_have_tried():
    """One broken model of a repository kept all others from being served at the start, for five minutes."""
    with managing(Loader({"bad": DataLoss("no graph")}), retry_interval_s=MINUTE_S) as (manager, told):
        manager.set_aspired("bad", paths(1))
        eventually(lambda: told.lines)
        assert manager.settled("bad", tried=True)
        assert not manager.settled("bad")


def test_what_is_withdrawn_during_the_pause_ends_at_once_with_its_error():
    with managing(Loader({"bad": DataLoss("no graph")}), retry_interval_s=MINUTE_S) as (manager, told):
        manager.set_aspired("bad", paths(1))
        eventually(lambda: told.lines)
        manager.set_aspired("bad", {})
        eventually(lambda: told.state("bad") is State.END)
        assert error_of(told, "bad") == ("DATA_LOSS", "no graph")
        eventually(lambda: manager.names() == [])


def test_attempts_are_counted_and_the_last_error_stays():
    load = Loader({"bad": ValueError("odd")})
    with managing(load, retries=2, retry_interval_s=0.0) as (manager, told):
        manager.set_aspired("bad", paths(1))
        eventually(lambda: told.state("bad") is State.END)
        assert len(load.began) == 3
        assert [line.partition(" to load")[0] for line in told.lines] == [
            "bad version 1: attempt 1 of 3",
            "bad version 1: attempt 2 of 3",
        ]
        assert error_of(told, "bad") == ("INTERNAL", "ValueError: odd")
        assert manager.settled("bad")


def test_a_version_that_is_mended_during_the_retries_is_served():
    load = Loader({"m": DataLoss("no graph")})
    with managing(load, retry_interval_s=0.0, retries=10**6) as (manager, told):
        manager.set_aspired("m", paths(1))
        eventually(lambda: len(load.began) > 3)
        load.broken.clear()
        eventually(lambda: told.state("m") is State.AVAILABLE)


def test_a_handle_keeps_its_version():
    """A request always finishes on the version that it started on."""
    load = Loader()
    with managing(load) as (manager, told):
        manager.set_aspired("m", paths(1))
        eventually(lambda: manager.available("m"))
        first, second = manager.handle("m"), manager.handle("m", 1)
        manager.set_aspired("m", {})
        eventually(lambda: told.state("m") is State.UNLOADING)
        eventually(lambda: manager.available("m") == [])
        with pytest.raises(NotFound, match=r"^Servable not found for request: Latest\(m\)$"):
            manager.handle("m")
        first.release()
        first.release()  # does nothing: the second handle still counts
        assert told.state("m") is State.UNLOADING
        assert not load.loaded["m", 1].closed.is_set()
        second.release()
        eventually(lambda: told.state("m") is State.END)
        assert load.loaded["m", 1].closed.is_set()


def test_one_request_does_not_delay_the_unloading_of_the_others():
    """Each unload waited for all requests; 150 of 200 are removed here while a request holds one of them."""
    load = Loader()
    with managing(load, load_threads=4) as (manager, told):
        names = [f"m{number}" for number in range(200)]
        for name in names:
            manager.set_aspired(name, paths(1))
        eventually(lambda: all(manager.available(name) for name in names))
        with manager.handle("m0"):
            for name in names[:150]:
                manager.set_aspired(name, {})
            eventually(lambda: all(told.state(name) is State.END for name in names[1:150]))
            assert told.state("m0") is State.UNLOADING
            for name in names[150:]:
                manager.handle(name).release()
        eventually(lambda: told.state("m0") is State.END)
        assert sum(tiny.closed.is_set() for tiny in load.loaded.values()) == 150


def test_states_are_true_when_they_are_seen():
    """AVAILABLE is told after handles work, UNLOADING before they stop."""
    seen = []
    with managing(Loader()) as (manager, told):

        def look(servable_id, status):
            if status.state in (State.AVAILABLE, State.UNLOADING):
                with manager.handle(servable_id.name, servable_id.version) as servable:
                    seen.append((status.state, servable.id))

        told.board.subscribe(look)
        manager.set_aspired("m", paths(1))
        eventually(lambda: manager.settled("m"))
        manager.set_aspired("m", {})
        eventually(lambda: told.state("m") is State.END)
    assert seen == [(State.AVAILABLE, ("m", 1)), (State.UNLOADING, ("m", 1))]


def test_a_new_version_answers_before_the_old_one_goes():
    with managing(Loader()) as (manager, told):
        manager.set_aspired("m", paths(1))
        eventually(lambda: manager.available("m") == [1])
        manager.set_aspired("m", paths(2))
        eventually(lambda: told.state("m", 1) is State.END)
        assert manager.available("m") == [2]
        assert told.posts.index(("m", 2, State.AVAILABLE)) < told.posts.index(("m", 1, State.UNLOADING))


def test_a_version_that_is_withdrawn_while_it_loads_is_never_shown():
    load = Loader(held=["m"])
    with managing(load) as (manager, told):
        manager.set_aspired("m", paths(1))
        eventually(lambda: load.began)
        manager.set_aspired("m", {})
        manager.set_aspired("other", paths(1))  # both were taken up when this one is posted
        eventually(lambda: told.state("other") is not None)
        load.go.set()
        eventually(lambda: told.state("m") is State.END)
        assert load.loaded["m", 1].closed.is_set()
        assert error_of(told, "m")[0] == "CANCELLED"
        assert ("m", 1, State.AVAILABLE) not in told.posts


def test_a_version_that_comes_back_while_it_goes_is_loaded_again():
    load = Loader()
    with managing(load) as (manager, told):
        manager.set_aspired("m", paths(1))
        eventually(lambda: manager.available("m"))
        with manager.handle("m") as first:
            manager.set_aspired("m", {})
            eventually(lambda: told.state("m") is State.UNLOADING)
            manager.set_aspired("m", paths(1))
            assert not manager.settled("m")
        eventually(lambda: manager.available("m") == [1])
        assert first.closed.is_set()
        assert load.began == [("m", 1)] * 2


def test_a_slow_load_does_not_hold_up_another():
    load = Loader(held=["slow"])
    with managing(load, load_threads=2) as (manager, told):
        manager.set_aspired("slow", paths(1))
        eventually(lambda: load.began)
        manager.set_aspired("m", paths(1))
        eventually(lambda: told.state("m") is State.AVAILABLE)
        assert told.state("slow") is State.LOADING
        load.go.set()


def test_a_servable_that_cannot_be_closed_is_over_all_the_same():
    class Stuck(Tiny):
        def close(self):
            raise RuntimeError("no")

    with managing(lambda servable_id, path: Stuck(servable_id)) as (manager, told):
        manager.set_aspired("m", paths(1))
        eventually(lambda: manager.available("m"))
        manager.set_aspired("m", {})
        eventually(lambda: told.state("m") is State.END)


def test_a_stop_unloads_everything():
    load = Loader({"bad": DataLoss("no graph")})
    with managing(load, retry_interval_s=MINUTE_S) as (manager, told):
        manager.set_aspired("bad", paths(1))
        for number in range(20):
            manager.set_aspired(f"m{number}", paths(1, 2))
        eventually(lambda: all(len(manager.available(f"m{number}")) == 2 for number in range(20)))
        eventually(lambda: told.lines)
        assert manager.stop(30.0)
        assert all(tiny.closed.is_set() for tiny in load.loaded.values())
        assert {told.state(f"m{number}", 2) for number in range(20)} == {State.END}


def test_a_stop_leaves_a_load_that_hangs_behind_and_says_so():
    """SIGTERM with a load that hangs never ended."""
    load = Loader(held=["hangs"])
    with managing(load, load_threads=2) as (manager, told):
        manager.set_aspired("hangs", paths(1))
        manager.set_aspired("m", paths(1))
        eventually(lambda: load.began and manager.available("m"))
        assert manager.stop(0.5) is False
        assert load.loaded["m", 1].closed.is_set()
        load.go.set()
        eventually(lambda: told.state("hangs") is State.END)
        assert load.loaded["hangs", 1].closed.is_set()


def test_a_stop_leaves_a_request_that_hangs_behind_and_says_so():
    with managing(Loader()) as (manager, _):
        manager.set_aspired("m", paths(1))
        eventually(lambda: manager.available("m"))
        with manager.handle("m") as servable:
            assert manager.stop(0.2) is False
            assert not servable.closed.is_set()


def test_a_stop_while_a_load_comes_to_its_end_unloads_that_too():
    """Between its first answer and the end of its load a version was neither waited for nor unloaded."""
    stops: list[bool] = []
    with managing(Loader()) as (manager, told):
        deciding = next(thread for thread in reversed(threading.enumerate()) if thread.name == "manager")
        stopping = threading.Thread(target=lambda: stops.append(manager.stop(30.0)))

        def stop_now(_, status):
            if status.state is State.AVAILABLE:
                stopping.start()
                deciding.join(30)  # the stop is under way, and has looked at what is to be unloaded
                eventually(lambda: not deciding.is_alive())

        told.board.subscribe(stop_now)
        manager.set_aspired("m", paths(1))
        eventually(lambda: stops)
        assert stops == [True]
        assert told.state("m") is State.END


def test_what_was_kept_for_want_of_a_better_one_is_taken_back():
    """A set that named the version that goes on answering waited for its unload, which never came."""
    load = Loader()
    with managing(load, retries=0) as (manager, told):
        manager.set_aspired("m", paths(1))
        eventually(lambda: told.state("m") is State.AVAILABLE)
        load.broken["m"] = DataLoss("no graph")
        manager.set_aspired("m", paths(2))
        eventually(lambda: told.state("m", 2) is State.END)
        assert manager.available("m") == [1]
        load.broken.clear()
        manager.set_aspired("m", paths(1))
        eventually(lambda: manager.settled("m"))
        manager.set_aspired("m", paths(1, 3))
        eventually(lambda: manager.available("m") == [3, 1])
        assert not load.loaded["m", 1].closed.is_set()
        manager.set_aspired("m", paths(2))
        eventually(lambda: manager.available("m") == [2])


def test_a_version_that_is_tried_again_says_why():
    with managing(Loader({"bad": DataLoss("no graph")}), retry_interval_s=MINUTE_S) as (manager, told):
        manager.set_aspired("bad", paths(1))
        eventually(lambda: told.lines)
        assert (told.state("bad"), error_of(told, "bad")) == (State.LOADING, ("DATA_LOSS", "no graph"))
