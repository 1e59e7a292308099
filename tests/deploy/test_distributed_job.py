"""The Indexed Job that trains on several pods: rendered, checked by the schemas, its script run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from modelport_training.workers.cluster import Cluster, cluster

KUBERNETES = Path(__file__).parents[2] / "deploy/kubernetes"


@pytest.fixture(scope="module")
def job(render, read_yaml):
    found = read_yaml(render(KUBERNETES / "overlays/distributed"))
    return {(one["kind"], one["metadata"]["name"]): one for one in found}["Job", "trainer"]


def test_its_parts_fit(job):
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["completionMode"] == "Indexed"
    workers = {one["name"]: one.get("value") for one in container["env"]}["WORKERS"]
    assert int(workers) == spec["completions"] == spec["parallelism"]
    assert spec["template"]["spec"]["subdomain"] == "trainer"


@pytest.mark.parametrize("index", [0, 1])
def test_each_pod_gets_its_place(job, tmp_path, monkeypatch, index):
    """The script of the container, with a `modelport` that tells what it was called with."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    told = tmp_path / "told"
    (tmp_path / "modelport").write_text(f'#!/bin/bash\necho "$1" "$TF_CONFIG" >> {told}\n')
    (tmp_path / "modelport").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WORKERS": "2", "JOB_COMPLETION_INDEX": str(index)}
    subprocess.run([*container["command"], *container["args"]], env=environment, check=True, timeout=20)
    lines = [line.split(" ", 1) for line in told.read_text().splitlines()]
    assert [command for command, _ in lines] == (["train", "publish"] if index == 0 else ["train"])
    monkeypatch.setenv("TF_CONFIG", lines[0][1])
    assert cluster() == Cluster(["trainer-0.trainer:2222", "trainer-1.trainer:2222"], index)
    assert json.loads(lines[0][1])["task"]["type"] == "worker"
