"""A configuration and the disk become versions that answer; with servables that only note what becomes of them."""

import threading
from contextlib import contextmanager

import pytest

from modelport.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound, Unavailable, Unknown
from modelport.serverconfig import All, ModelConfig, ServerConfig
from modelport.wire import messages
from modelport_serving.core.server_core import ServerCore
from tests.support.tiny_servables import Loader
from tests.support.waiting import eventually


@pytest.fixture
def models(tmp_path):
    """Make models on the disk; their configuration."""

    def make(*names: str, **fields) -> ServerConfig:
        for name in names:
            (tmp_path / name / "1").mkdir(parents=True, exist_ok=True)
        return ServerConfig(tuple(ModelConfig(name, str(tmp_path / name), **fields) for name in names))

    return make


@contextmanager
def core_of(config: ServerConfig, load: Loader | None = None, *, poll_s: float = 0.01, start: bool = True, **options):
    """A core and the lines that it gave; stopped at the end."""
    lines: list[str] = []
    core = ServerCore(load or Loader(), lines.append, poll_s=poll_s, **{"retries": 0, **options})
    try:
        core.configure(config)
        if start:
            core.start(lambda: False)
        yield core, lines
    finally:
        core.stop(2.0)


def spec(name="m", **fields):
    return messages.ModelSpec(name=name, **fields)


def test_models_of_a_configuration_answer(models):
    with core_of(models("a", "b")) as (core, lines):
        with core.handle(spec("a")) as servable:
            assert servable.id == ("a", 1)
        assert core.unready() == []
        assert sorted(lines) == ["a version 1: AVAILABLE", "b version 1: AVAILABLE"]
        assert core.version_states() == {("a", "1", "AVAILABLE"): 1, ("b", "1", "AVAILABLE"): 1}


def test_what_becomes_of_versions_is_told(models, tmp_path):
    with core_of(models("m")) as (_, lines):
        (tmp_path / "m" / "2").mkdir()
        eventually(lambda: "m version 1: unloaded" in lines)
        assert lines[:2] == ["m version 1: AVAILABLE", "m version 2: AVAILABLE"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (ModelConfig("m", "relative"), "Expected model m to have an absolute path or URI; got base_path.*=relative"),
        (ModelConfig("m", "s3://bucket/m"), "on a local file system. Received: s3://bucket/m"),
        (ModelConfig("m", "/m", platform=""), "Illegal setting neither ModelServerConfig::model_type"),
        (ModelConfig("m", "/m", model_type=messages.TENSORFLOW), "Illegal setting both ModelServerConfig::model_type"),
        (ModelConfig("m", "/m", model_type=messages.OTHER, platform=""), "model_type choice 2 not supported"),
        (ModelConfig("m", "/m", platform="torch"), "Model m requests unsupported platform torch"),
    ],
)
def test_a_configuration_that_is_refused_changes_nothing(models, model, words):
    with core_of(models("a")) as (core, _):
        with pytest.raises(InvalidArgument, match=words):
            core.reload(ServerConfig((model,)))
        assert [configured.name for configured in core.models] == ["a"]
        core.reload(models("a", "b"))
        assert core.manager.available("b") == [1]


def test_a_name_twice_a_changed_platform_and_logging_are_refused(models):
    config = models("m")
    with core_of(config) as (core, _):
        twice = ServerConfig(config.models * 2)
        with pytest.raises(InvalidArgument, match="Illegal to list model m multiple times"):
            core.reload(twice)
        other = ServerConfig((ModelConfig("m", config.models[0].base_path, platform="torch"),))
        with pytest.raises(InvalidArgument, match="platform was tensorflow and new platform requested is torch"):
            core.reload(other)
        logged = ServerConfig((ModelConfig("m", config.models[0].base_path, has_logging=True),))
        with pytest.raises(InvalidArgument, match=r"No request-logger-creator provided\."):
            core.reload(logged)


def test_a_reload_adds_and_removes_models(models):
    load = Loader()
    with core_of(models("a", "b"), load) as (core, _):
        core.reload(models("b", "c"))
        assert core.manager.available("c") == [1]
        eventually(lambda: load.loaded["a", 1].closed.is_set())
        with pytest.raises(NotFound, match=r"Latest\(a\)"):
            core.handle(spec("a"))


def test_a_reload_with_a_broken_model_says_why_and_keeps_it_configured(models):
    load = Loader({"bad": DataLoss("no graph")})
    with core_of(models("a"), load) as (core, lines):
        with pytest.raises(Unknown, match=r"1 model\(s\) did not become available.*name: bad.*DATA_LOSS: no graph"):
            core.reload(models("a", "bad"))
        assert "bad version 1: not served, DATA_LOSS: no graph" in lines
        assert core.unready() == ["model bad: version 1 is END: no graph"]
        assert core.manager.available("a") == [1]


def test_a_server_whose_only_version_is_broken_says_why(models):
    with (
        pytest.raises(Unknown, match=r"1 servable\(s\) did not become available.*DATA_LOSS: no graph"),
        core_of(models("m"), Loader({"m": DataLoss("no graph")})),
    ):
        pass


def test_a_good_version_that_comes_while_a_broken_one_is_retried_starts_the_server(models, tmp_path):
    class BrokenOnce(Loader):
        def __call__(self, servable_id, path):
            if servable_id.version == 1:
                raise DataLoss("no graph")
            return super().__call__(servable_id, path)

    config = models("m")
    with core_of(config, BrokenOnce(), start=False, retries=5, retry_interval_s=60.0) as (core, lines):
        starting = threading.Thread(target=core.start, args=(lambda: False,), daemon=True)
        starting.start()
        eventually(lambda: any("attempt 1 of 6" in line for line in lines))
        assert starting.is_alive()
        (tmp_path / "m" / "2").mkdir()
        starting.join(30)
        assert core.manager.available("m") == [2]


@pytest.mark.parametrize("retries", [0, 5])
def test_a_lenient_start_serves_what_can_be_served(models, retries):
    load = Loader({"bad": DataLoss("no graph")})
    with core_of(models("a", "bad"), load, lenient=True, retries=retries, retry_interval_s=60.0) as (core, _):
        assert core.manager.available("a") == [1]
        assert [line.partition(":")[0] for line in core.unready()] == ["model bad"]


def test_a_start_is_given_up_when_told_so(tmp_path):
    config = ServerConfig((ModelConfig("m", str(tmp_path)),))
    with core_of(config, start=False) as (core, lines):
        assert core.start(lambda: any("No versions of model 'm'" in line for line in lines)) is False
        assert core.unready() == ["model m: no version found"]


def test_a_reload_that_waits_for_a_version_ends_with_the_server(models, tmp_path):
    with core_of(models("a")) as (core, lines):
        (tmp_path / "empty").mkdir()
        errors: list[Exception] = []

        def reload():
            try:
                core.reload(ServerConfig((*models("a").models, ModelConfig("empty", str(tmp_path / "empty")))))
            except Unavailable as error:
                errors.append(error)

        reloading = threading.Thread(target=reload)
        reloading.start()
        eventually(lambda: any("No versions of model 'empty'" in line for line in lines))
        assert reloading.is_alive()
        core.end_waits()
        reloading.join(30)
        assert [error.message for error in errors] == ["The server is stopping."]


def labelled(models, **labels):
    return models("m", policy=All(), labels=labels)


def test_labels_are_given_to_versions_that_answer(models, tmp_path):
    (tmp_path / "m" / "2").mkdir(parents=True)
    with core_of(models("m", policy=All())) as (core, _):
        eventually(lambda: core.manager.available("m") == [2, 1])
        core.reload(labelled(models, stable=1))
        with core.handle(spec(version_label="stable")) as servable:
            assert servable.id.version == 1
        with core.handle(spec()) as servable:
            assert servable.id.version == 2
        with pytest.raises(InvalidArgument, match=r"^Unrecognized servable version label: canary$"):
            core.handle(spec(version_label="canary"))
        with pytest.raises(FailedPrecondition, match="label to version 7 of model m, which is not currently available"):
            core.reload(labelled(models, stable=7))
        with core.handle(spec(version_label="stable")) as servable:
            assert servable.id.version == 1, "nothing was changed"


def test_a_label_of_the_start_needs_the_flag(models):
    with pytest.raises(FailedPrecondition, match="not currently available"), core_of(labelled(models, stable=1)):
        pass
    with core_of(labelled(models, stable=1), labels_for_unavailable=True) as (core, _):
        assert core.handle(spec(version_label="stable")).servable.id.version == 1


def test_specs_that_name_nothing(models):
    with core_of(models("m")) as (core, _):
        with pytest.raises(InvalidArgument, match="ModelSpec has no name specified"):
            core.handle(messages.ModelSpec())
        wanted = spec()
        wanted.version.value = 4
        with pytest.raises(NotFound, match=r"Specific\(m, 4\)"):
            core.handle(wanted)


def test_labels_before_any_list_of_models_was_applied():
    with core_of(ServerConfig(None), start=False) as (core, _), pytest.raises(Unavailable, match="does not init yet"):
        core.handle(spec(version_label="stable"))


def test_without_polling_the_disk_is_looked_at_once_and_after_each_change(models, tmp_path):
    """A reload that added a model hung with --file_system_poll_wait_seconds=0."""
    with core_of(models("a"), poll_s=0) as (core, _):
        (tmp_path / "a" / "2").mkdir()
        core.reload(models("a", "b"))
        assert core.manager.available("b") == [1]
        eventually(lambda: core.manager.available("a") == [2])


def test_a_fault_while_looking_at_the_disk_is_told_and_survived(models):
    with core_of(models("m")) as (core, lines):
        impossible = ModelConfig("n", "/no\0path")  # no operating system knows it, and no error of ours speaks of it
        core.configure(ServerConfig((*models("m").models, impossible)))
        eventually(lambda: any(line.startswith("Looking at the base paths failed: ValueError") for line in lines))
        core.reload(models("m", "other"))
        assert core.manager.available("other") == [1]


def test_a_lost_base_path_unloads_nothing(models, tmp_path):
    with core_of(models("m")) as (core, lines):
        (tmp_path / "m").rename(tmp_path / "elsewhere")
        eventually(lambda: any("Could not read base path" in line for line in lines))
        assert core.manager.available("m") == [1]


def test_a_stop_says_whether_something_was_left_behind(models):
    load = Loader()
    with core_of(models("m"), load) as (core, _):
        with core.handle(spec()):
            assert core.stop(0.2) is False
        assert core.stop(10.0) is True
        assert load.loaded["m", 1].closed.is_set()
