"""deploy/kubernetes: rendered, held against the strict schemas and against what our server and our files really are.

No cluster runs here. What a cluster would do with the flags, the probes and the stop is done to a real server.
"""

import dataclasses
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from modelport_serving import Options
from modelport_serving.config import flags

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
KSERVE = sorted((KUBERNETES / "kserve").glob("*.yaml"))
OVERLAYS = ["base", "overlays/embedded", "overlays/monitored", "overlays/distributed"]
OLDEST, NEWEST = "1.30", "1.37"  # 1.30 is the first to know the pre-stop sleep
TENSORFLOW = re.search(r"^tensorflow_cpu==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def objects(render, read_yaml):
    """The objects of an overlay, by kind and name."""
    texts = {overlay: render(KUBERNETES / overlay) for overlay in OVERLAYS}
    documents = {overlay: read_yaml(text) for overlay, text in texts.items()}
    return {
        overlay: {(found["kind"], found["metadata"]["name"]): found for found in documents[overlay]}
        for overlay in OVERLAYS
    }


@pytest.fixture(scope="module")
def services(read_yaml):
    """The objects for KServe, by file name."""
    return {path.name: read_yaml(path.read_text())[0] for path in KSERVE}


def pod(objects, overlay: str, kind: str = "Deployment", name: str = "serving") -> dict:
    return objects[overlay][kind, name]["spec"]["template"]["spec"]


def container(objects, overlay: str, kind: str = "Deployment", name: str = "serving") -> dict:
    (found,) = pod(objects, overlay, kind, name)["containers"]
    return found


def flag_names(arguments: list[str]) -> set[str]:
    return {argument.removeprefix("--").partition("=")[0] for argument in arguments}


def test_the_schemas_accept_everything(kubernetes_python, render, tmp_path):
    files = []
    for overlay in OVERLAYS:
        files.append(tmp_path / f"{Path(overlay).name}.yaml")
        files[-1].write_text(render(KUBERNETES / overlay))
    command = [kubernetes_python.with_name("kubernetes-validate"), "--strict", "-k", OLDEST, "-k", NEWEST, *files]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    unknown = {line.split(" for kubernetes version")[0] for line in result.stdout.splitlines() if "WARN" in line}
    assert len(unknown) == 1, unknown
    assert "kind ServiceMonitor with" in unknown.pop()  # held against its own schema in the next test


def test_the_schemas_of_kserve_and_the_prometheus_operator_accept_theirs(kubernetes_python, render, tmp_path):
    monitored = tmp_path / "monitored.yaml"
    monitored.write_text(render(KUBERNETES / "overlays/monitored"))
    spoilt = tmp_path / "spoilt.yaml"
    spoilt.write_text(
        KSERVE[0].read_text().replace("scaleTarget:", "scaleTargets:").replace("containerPort:", "port:")
        + "---\n"
        + monitored.read_text().replace("scrapeTimeout:", "scrapetimeout:")
    )
    script = Path(__file__).with_name("check_custom_resources.py")
    command = [kubernetes_python, "-I", script, *KSERVE, monitored, spoilt]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = result.stdout.splitlines()
    passed = ["InferenceService/digits-embedded", "InferenceService/digits", "ServiceMonitor/serving"]
    assert lines[:3] == [f"passed {name}" for name in passed], result.stdout + result.stderr
    for mistake in ("scaleTargets has no such field", "containerPort' is a required", "only this of it is known"):
        assert mistake.replace("scaleTargets has", "scaleTargets: V1beta1PredictorSpec has") in result.stdout


def test_the_configuration_is_that_of_serving_config(objects):
    for path in (KUBERNETES / "base/config").iterdir():
        original = ROOT / "serving/config" / path.name
        refresh = "cp serving/config/{*.config,healthcheck.sh} deploy/kubernetes/base/config/"
        assert path.read_text() == original.read_text(), f"{path.name} has changed: {refresh}"
    for overlay in OVERLAYS:
        (generated,) = (found for (kind, _), found in objects[overlay].items() if kind == "ConfigMap")
        assert generated["data"] == {path.name: path.read_text() for path in (KUBERNETES / "base/config").iterdir()}
        volumes = {volume["name"]: volume for volume in pod(objects, overlay)["volumes"]}
        assert volumes["config"]["configMap"]["name"] == generated["metadata"]["name"]


def test_every_flag_exists(objects, services):
    ours = {field.name for field in dataclasses.fields(Options)}
    real = {field.name for field in dataclasses.fields(Options) if not field.metadata["ours"]}
    assert flag_names(container(objects, "base")["args"]) <= real
    assert flag_names(services["inferenceservice.yaml"]["spec"]["predictor"]["model"]["args"]) <= real
    (embedded,) = services["inferenceservice-embedded.yaml"]["spec"]["predictor"]["containers"]
    for found in (container(objects, "overlays/embedded"), embedded):
        assert found["command"] == ["modelport", "serve"]
        assert flag_names(found["args"]) <= ours
        options = flags.parse(found["args"])
        unused = [name for name in options.given() if Options.__dataclass_fields__[name].metadata["unused"]]
        assert not unused


def test_the_images_are_those_of_the_project(objects, services):
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    ours = f"modelport:{version}"
    assert container(objects, "base")["image"] == f"tensorflow/serving:{TENSORFLOW}"
    assert services["inferenceservice.yaml"]["spec"]["predictor"]["model"]["runtimeVersion"] == TENSORFLOW
    assert services["inferenceservice-embedded.yaml"]["spec"]["predictor"]["containers"][0]["image"] == ours
    for overlay in OVERLAYS[1:]:
        assert container(objects, overlay)["image"] == ours
    for overlay in OVERLAYS:
        assert container(objects, overlay, "Job", "publisher")["image"] == ours


def test_the_publisher_runs_commands_that_exist(objects):
    from modelport.__main__ import SUBCOMMANDS

    (command,) = container(objects, "base", "Job", "publisher")["args"]
    assert re.findall(r"modelport (\w+)", command) == ["train", "publish"]
    assert {"train", "publish"} <= set(SUBCOMMANDS)
    assert "--name digits --repository /models" in command  # what models.config serves


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ports_and_labels_find_each_other(objects, overlay):
    found = objects[overlay]
    served = container(objects, overlay)
    ports = {port["name"]: port["containerPort"] for port in served["ports"]}
    options = flags.parse(served["args"])
    assert ports == {"grpc": options.port, "rest": options.rest_api_port}
    labels = found["Deployment", "serving"]["spec"]["template"]["metadata"]["labels"].items()
    for name in ("serving", "serving-headless"):
        service = found["Service", name]["spec"]
        assert {port["name"]: (port["port"], port["targetPort"]) for port in service["ports"]} == {
            name: (number, name) for name, number in ports.items()
        }
        assert service["selector"].items() <= labels
    assert found["Service", "serving-headless"]["spec"]["clusterIP"] == "None"
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        selector = found[kind, "serving"]["spec"].get("selector") or found[kind, "serving"]["spec"]["podSelector"]
        assert selector["matchLabels"].items() <= labels
    publisher = found["Job", "publisher"]["spec"]["template"]["metadata"]["labels"].items()
    policy = found["NetworkPolicy", "publisher"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= publisher
    assert "ingress" not in policy
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert served[probe].get("httpGet", {"port": "rest"})["port"] == "rest"
    target = found["HorizontalPodAutoscaler", "serving"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) in found
    assert "replicas" not in found["Deployment", "serving"]["spec"]
    # Only one of the two services is scraped.
    if monitor := found.get(("ServiceMonitor", "serving")):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        names = [name for (kind, name) in found if kind == "Service"]
        assert [name for name in names if wanted <= found["Service", name]["metadata"]["labels"].items()] == ["serving"]
        assert monitor["spec"]["endpoints"][0]["port"] in ports


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize(("kind", "name"), [("Deployment", "serving"), ("Job", "publisher")])
def test_pods_keep_to_the_restricted_profile(objects, overlay, kind, name):
    spec, only = pod(objects, overlay, kind, name), container(objects, overlay, kind, name)
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    context = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert only["securityContext"] == context
    assert only["resources"]["limits"]["memory"] == only["resources"]["requests"]["memory"]
    mounts = {mount["name"]: mount for mount in only["volumeMounts"]}
    assert mounts["models"].get("readOnly", False) is (kind == "Deployment")


def test_a_stop_has_the_time_that_it_takes(objects, services):
    real = pod(objects, "base")
    assert real["shareProcessNamespace"]  # or SIGTERM would not end the server
    pairs = flags.parse(real["containers"][0]["args"]).grpc_channel_arguments.split(",")
    age = int(dict(pair.split("=") for pair in pairs)["grpc.max_connection_age_ms"]) / 1000
    pause = real["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    # The age has a jitter of 10 %, and gRPC looks up names at most every 30 s.
    assert age * 1.1 + 30 < pause < real["terminationGracePeriodSeconds"]
    embedded = services["inferenceservice-embedded.yaml"]["spec"]["predictor"]
    for spec in (pod(objects, "overlays/embedded"), embedded):
        (only,) = spec["containers"]
        pause = only["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pause + flags.parse(only["args"]).grace_seconds < spec["terminationGracePeriodSeconds"]
        assert "shareProcessNamespace" not in spec


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_real_server_with_these_flags_answers_the_probes(objects, serve, add_version, tmp_path):
    base, embedded = container(objects, "base"), container(objects, "overlays/embedded")
    models, config = tmp_path / "models", tmp_path / "config"
    shutil.copytree(KUBERNETES / "base/config", config)
    text = (config / "models.config").read_text()
    (config / "models.config").write_text(text.replace('"/models/', f'"{models}/'))
    version = add_version(models / "digits", 1, "affine-2")
    arguments = [argument.replace("=/config/", f"={config}/") for argument in embedded["args"]]
    server = serve(*arguments, "--host=127.0.0.1", "--port=auto", "--rest_api_port=auto")
    rest = server.address("REST")
    url = rest if rest.startswith("http") else f"http://{rest}"
    port = url.rstrip("/").rpartition(":")[2]

    def probe(only: dict, name: str) -> bool:
        match only[name]:
            case {"httpGet": {"path": path}}:
                return status(url + path) == 200
            case {"exec": {"command": ["bash", "/config/healthcheck.sh"]}}:
                command = ["bash", config / "healthcheck.sh", port, config / "models.config"]
                return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
        raise AssertionError(only[name])

    for only in (base, embedded):
        assert all(probe(only, name) for name in ("startupProbe", "readinessProbe", "livenessProbe"))

    page = objects["overlays/monitored"]["ServiceMonitor", "serving"]["spec"]["endpoints"][0]["path"]
    with urllib.request.urlopen(url + page, timeout=10) as answer:
        metrics = answer.read().decode()
    adapter = (KUBERNETES / "components/monitoring/prometheus-adapter.yaml").read_text()
    (metric,) = set(re.findall(r'__name__="([^"]+)"', adapter))
    assert f"# TYPE {metric} counter" in metrics
    scaled = objects["overlays/monitored"]["HorizontalPodAutoscaler", "serving"]["spec"]["metrics"]
    assert f"as: {scaled[1]['pods']['metric']['name']}\n" in adapter

    shutil.rmtree(version)  # nobody serves digits any more: no traffic, but no restart either
    server.wait_for_output("unloaded")
    for only in (base, embedded):
        assert not probe(only, "readinessProbe")
        assert probe(only, "livenessProbe")
    assert server.end() == 0
