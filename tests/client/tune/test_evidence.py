"""From turns to a verdict, and from a verdict to files: a setting wins only where the figures say so."""

import json

import pytest

from modelport.errors import AlreadyExists
from modelport.serverconfig import parse_batching
from modelport_client.loadtest.found import Bound, Found, Try
from modelport_client.loadtest.intervals import geometric
from modelport_client.tune.duel import Verdict
from modelport_client.tune.evidence import Evidence, check_folder
from modelport_client.tune.halving import Trial
from modelport_client.tune.settings import DEFAULTS, candidates

BOUND = Bound(99, 0.02)
SETTINGS = candidates(2, 0.02, is_embedded=True, may_batch=True, largest_rows=1, seed=0)
BATCHED = next(setting for setting in SETTINGS if setting.batching is not None)


def found(rate: float | None, fails: bool | None = False) -> Found:
    tries = [Try(rate or 100, 1, 0.01 if rate else 0.05, 0, True if rate else fails)]
    return Found(BOUND, rate, 3, 3, geometric([0.01]) if rate else None, None, "", tries)


def verdict(*pairs: tuple[float | None, float | None]) -> Verdict:
    whole = [(one, other) for one, other in pairs if one and other]
    ratio = geometric([other / one for one, other in whole]) if whole else None
    return Verdict(BATCHED, whole, ratio, [(found(one), found(other)) for one, other in pairs])


def evidence(told: Verdict | None) -> Evidence:
    trials = [Trial(DEFAULTS, [found(100)]), Trial(BATCHED, [found(150)]), Trial(SETTINGS[-1], [], "no such flag | x")]
    return Evidence("digits", "a server", BOUND, "the test", trials, told, ["A remark."])


@pytest.mark.parametrize(
    ("pairs", "is_better"),
    [
        ([(100, 150), (110, 160), (105, 155)], True),
        ([(100, 101), (100, 99), (100, 102)], False),
        ([(100, 80), (100, 82), (100, 81)], False),
        ([(100, 150)], False),
        ([(100, 150), (110, 160), (105, None)], False),
        ([(100, 150), (110, 160), (105, 155), (None, 150)], True),
        ([(100, 150), (110, 160), (105, 155), (None, None)], True),
        ([(None, 150), (None, 160), (None, 155)], True),
        ([(None, None), (None, 160)], False),
        ([], False),
    ],
    ids=[
        "all higher",
        "as much",
        "all lower",
        "one pair",
        "holds not always",
        "the defaults not always",
        "a bad moment",
        "it alone",
        "it alone, not always",
        "nothing",
    ],
)
def test_a_setting_wins_only_where_its_interval_says_so(pairs, is_better):
    told = verdict(*pairs)
    assert told.is_better is is_better
    assert told.winner == (BATCHED if is_better else DEFAULTS)


def test_a_late_generator_makes_no_winner():
    founds = [(found(None, fails=None), found(150))] * 3
    assert Verdict(BATCHED, [], None, founds).is_better is False


def test_the_files_of_a_winner(tmp_path):
    told = evidence(verdict((100, 150), (110, 160), (105, 155)))
    told.write(tmp_path / "tuned")
    flags = (tmp_path / "tuned" / "flags.txt").read_text().splitlines()
    assert flags == ["--enable_batching=true", f"--batching_parameters_file={tmp_path}/tuned/batching.config"]
    parameters = parse_batching((tmp_path / "tuned" / "batching.config").read_text())
    assert parameters.max_batch_size == 32
    facts = json.loads((tmp_path / "tuned" / "evidence.json").read_text())
    assert facts["winner"] == BATCHED.name
    assert facts["rate_per_s"]["mean"] == pytest.approx(155, rel=0.01)
    assert facts["trials"][2]["error"] == "no such flag | x"
    table = (tmp_path / "tuned" / "evidence.md").read_text()
    assert "Best: batches of 32 rows" in table
    assert "no such flag ¦ x" in table
    assert "| 2 | 110 | 160 |" in table


def test_the_defaults_are_said_to_be_best(tmp_path):
    told = evidence(verdict((100, 101), (100, 99), (100, 102)))
    told.write(tmp_path)
    assert (tmp_path / "flags.txt").read_text() == ""
    assert not (tmp_path / "batching.config").exists()
    assert told.words.startswith("The defaults are best: nothing was shown to be better. With them digits holds")
    assert "The defaults are best: no other setting was seen" in evidence(None).words


def test_the_flags_are_those_that_the_embedded_server_reads(tmp_path):
    from modelport_serving.config import flags

    evidence(verdict((100, 150), (110, 160), (105, 155))).write(tmp_path)
    words = (tmp_path / "flags.txt").read_text().split()
    assert flags.parse(["--model_name=m", "--model_base_path=/m", *words]).enable_batching is True


def test_other_files_are_not_written_over(tmp_path):
    check_folder(tmp_path)
    check_folder(tmp_path / "new")
    (tmp_path / "mine.txt").touch()
    with pytest.raises(AlreadyExists, match="new or empty folder"):
        check_folder(tmp_path)
