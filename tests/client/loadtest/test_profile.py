"""Arrivals: as many as asked for, as random as they should be, and the same each time."""

import numpy as np
import pytest

from modelport.errors import InvalidArgument
from modelport_client.loadtest.profile import Piece, arrivals, parse


def moments(pieces, kind, seed=7, share=0, shares=1) -> np.ndarray:
    return np.array(list(arrivals(pieces, kind, seed, share, shares)))


def test_poisson_arrivals_are_a_poisson_process():
    made = moments([Piece(1000, 1000, 20)], "poisson")
    assert abs(len(made) - 20_000) < 4 * 20_000**0.5
    gaps = np.diff(made)
    assert (gaps > 0).all()
    assert np.mean(gaps) == pytest.approx(1e-3, rel=0.03)
    assert np.std(gaps) == pytest.approx(1e-3, rel=0.05)  # of an exponential distribution it is the mean
    counts = np.bincount(made.astype(int), minlength=20)
    assert np.var(np.bincount((made * 100).astype(int))) == pytest.approx(10, rel=0.2)  # and of counts the mean, too
    assert counts.min() > 850


def test_the_same_seed_makes_the_same_arrivals_and_another_one_others():
    piece = [Piece(100, 100, 5)]
    assert np.array_equal(moments(piece, "poisson"), moments(piece, "poisson"))
    assert not np.array_equal(moments(piece, "poisson")[:50], moments(piece, "poisson", seed=8)[:50])


def test_steady_arrivals_are_even():
    assert np.allclose(moments([Piece(4, 4, 2)], "steady"), np.arange(8) / 4)


def test_shares_take_turns_or_add_up():
    piece = [Piece(10, 10, 1)]
    parts = [moments(piece, "steady", share=share, shares=3) for share in range(3)]
    assert np.allclose(np.sort(np.concatenate(parts)), np.arange(10) / 10)
    parts = [moments([Piece(3000, 3000, 5)], "poisson", share=share, shares=3) for share in range(3)]
    assert abs(sum(map(len, parts)) - 15_000) < 4 * 15_000**0.5
    assert all(abs(len(part) - 5000) < 4 * 5000**0.5 for part in parts)


def test_steps_and_ramps():
    pieces = parse("100:2,100-300:2,50:2")
    made = moments(pieces, "steady")
    assert len(made) == 200 + 400 + 100
    seconds = np.bincount(made.astype(int))
    assert seconds.tolist() == pytest.approx([100, 100, 150, 250, 50, 50], abs=1)
    down = moments([Piece(200, 0, 1)], "steady")
    assert len(down) == 100
    assert down.max() < 1
    assert (np.diff(down, n=2) > -1e-9).all()  # ever more slowly


@pytest.mark.parametrize("text", ["", "100", "100:0", "0:10", "a:10", "-5:10", "1-2-3:4", "100:10,", "nan:1"])
def test_profiles_that_make_no_sense(text):
    with pytest.raises(InvalidArgument, match="Expected"):
        parse(text)
