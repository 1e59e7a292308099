"""What holds for every server of the repository, wherever it runs: the same tests on each `site`."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from modelport_client import Client
from modelport_release.promotion.promoting import promote
from tests.support.docker.asking import IMAGE, asking, eventually

pytestmark = pytest.mark.timeout(300)
SEVEN = Path(__file__).parent.parent.parent / "docs" / "seven.png"


def add_version(site, number):
    """Another version: a copy of the first under the next number, put in place by a rename."""
    aside = site.models / "digits" / f".copy-{number}"
    shutil.copytree(site.models / "digits" / "1", aside)
    aside.rename(site.models / "digits" / str(number))


def test_predictions_over_both_transports(site):
    answers = []
    for target in (site.grpc, site.rest):
        with Client(target, timeout=30) as client:
            answers.append(client.predict("digits", SEVEN))
    assert [answer["label"].tolist() for answer in answers] == [[b"7"], [b"7"]]
    assert np.allclose(answers[0]["probabilities"], answers[1]["probabilities"], atol=1e-6)


def test_a_new_version_takes_over_under_load(site):
    with asking(site.grpc, retry=False) as (versions, errors):
        add_version(site, 2)
        eventually(lambda: versions[-1] == 2)
    assert not errors
    assert sorted(set(versions)) == [1, 2]


def test_a_broken_version_beside_a_good_one(site):
    broken = site.models / "digits" / "3"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"\x08\x01\x12\xff")
    try:
        with Client(site.grpc) as client:
            eventually(lambda: {s.version: s.state for s in client.status("digits")}.get(3) == "END")
            assert client.predict("digits", IMAGE).version == 2
    finally:
        shutil.rmtree(broken)


def test_back_by_a_reload_under_load_and_forward_again(site):
    with asking(site.grpc, retry=False) as (versions, errors):
        promote("digits", 1, config=site.config, server=site.grpc, repository=site.models)
        before = len(versions)
        eventually(lambda: len(versions) > before + 5)
        assert set(versions[before + 2 :]) == {1}
        promote("digits", None, config=site.config, server=site.grpc, repository=site.models)
        eventually(lambda: versions[-1] == 2)
    assert not errors


def test_a_label_is_moved_without_a_restart(site):
    with Client(site.grpc) as client:
        for version in (1, 2, 1):
            promote("digits", version, label="stable", config=site.config, server=site.grpc)
            assert client.predict("digits", IMAGE, label="stable").version == version
        promote("digits", 2, label="stable", config=site.config, server=site.grpc)
        promote("digits", 2, config=site.config, server=site.grpc)
    site.config.write_text("\n".join(line for line in site.config.read_text().splitlines() if "labels" not in line))
    promote("digits", None, config=site.config, server=site.grpc, repository=site.models)


def test_deleting_the_newest_rolls_back(site):
    shutil.rmtree(site.models / "digits" / "2")
    with Client(site.grpc) as client:
        eventually(lambda: client.predict("digits", IMAGE).version == 1)


def test_a_restart_under_load_costs_no_request(site):
    with asking(site.grpc, retry=True) as (versions, errors):
        site.restart()
        before = len(versions)
        eventually(lambda: len(versions) > before + 5)
    assert not errors


def test_a_killed_server_costs_no_request(site):
    with asking(site.grpc, retry=True) as (versions, errors):
        site.kill()
        before = len(versions)
        eventually(lambda: len(versions) > before + 5)
    assert not errors
