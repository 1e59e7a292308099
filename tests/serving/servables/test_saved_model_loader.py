"""Loading a version for the manager: its files, its configuration, its batching, its warm-up."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tensorflow.core.protobuf.config_pb2 import ConfigProto

from modelport.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_serving.batching.parameters import limits_in
from modelport_serving.config.options import Options
from modelport_serving.core.servable_state import ServableId
from modelport_serving.monitoring.metrics import Metrics
from modelport_serving.servables.saved_model_loader import SavedModelLoader, session_config
from modelport_serving.servables.servable import Servable
from tests.support.traps import TRAPS


@pytest.fixture
def load():
    """Load versions; closed at the end."""
    loaded: list[Servable] = []

    def load(path: Path, options: Options | None = None, limits_of=lambda path: None, warm_up=lambda servable: None):
        loader = SavedModelLoader(options or Options(), limits_of, warm_up, Metrics(dict, lambda: 0))
        loaded.append(loader(ServableId("m", 1), path))
        return loaded[-1]

    yield load
    for servable in loaded:
        servable.close()


@pytest.fixture
def version(tmp_path, model_files) -> Path:
    return shutil.copytree(model_files / "affine-2", tmp_path / "m" / "1")


@pytest.mark.parametrize("kind", ["FIFO", "device"])
@pytest.mark.parametrize(
    "name",
    [
        "saved_model.pb",
        "saved_model.pbtxt",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "assets/words.txt",
        "assets.extra/tf_serving_warmup_requests",
        "batching_params.pbtxt",
        "variables",
    ],
)
def test_what_never_ends_is_refused_by_name(version, load, kind, name):
    """A FIFO as variables held a load thread for ever, and with it the end of the process."""
    make, said = TRAPS[kind]
    path = version / name
    path.parent.mkdir(exist_ok=True)
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    make(path)
    with pytest.raises(FailedPrecondition, match=re.escape(f"{str(path)!r}, which is {said}")):
        load(version)


def test_links_to_files_and_folders_are_followed(version, tmp_path, load):
    """As stores of large files, and Kubernetes, lay out what they hold."""
    for name in ("saved_model.pb", "variables"):
        (version / name).rename(tmp_path / name)
        (version / name).symlink_to(tmp_path / name)
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "gone").symlink_to(tmp_path / "nowhere")
    assert "serving_default" in load(version).signatures


def test_a_version_that_is_no_folder(tmp_path, load):
    (tmp_path / "1").touch()
    with pytest.raises(FailedPrecondition, match=r"load servable \{name: m version: 1\}: .*; Not a directory"):
        load(tmp_path / "1")
    with pytest.raises(NotFound, match="does not appear to contain a SavedModel"):
        load(tmp_path / "2")


def test_what_a_publisher_proved_is_taken_from_the_manifest(tmp_path, model_files, load):
    repository = Repository(tmp_path / "models")
    with repository.stage("m") as staging:
        shutil.copytree(model_files / "affine-2", staging.path, dirs_exist_ok=True)
        published = staging.commit(Manifest(model="m", row_independent=("serving_default",)))
    merging = {name for name, signature in load(published.path).signatures.items() if signature.merges}
    assert merging == {"serving_default"}
    signatures = load(published.path, Options(join_requests="all")).signatures
    assert signatures["named"].merges
    assert not signatures["named"].steady
    (published.path / "assets.extra" / "manifest.json").write_text("{")
    with pytest.raises(DataLoss, match="manifest"):
        load(published.path)


def test_a_foreign_version_is_proven_of_nothing(version, load):
    assert not any(signature.merges for signature in load(version).signatures.values())


def test_batching_parameters_of_a_version(version, load):
    (version / "batching_params.pbtxt").write_text("max_batch_size { value: 7 }")
    assert load(version, limits_of=limits_in).limits.max_rows == 7
    (version / "batching_params.pbtxt").write_text("max_batch_size { value: -7 }")
    with pytest.raises(InvalidArgument, match="must be positive"):
        load(version, limits_of=limits_in)
    (version / "batching_params.pbtxt").unlink()
    assert load(version, limits_of=limits_in).limits is None


def test_a_warm_up_that_fails_fails_the_load_and_frees_the_version(version, load):
    warmed: list[Servable] = []

    def warm_up(servable):
        warmed.append(servable)
        raise InvalidArgument("cold")

    with pytest.raises(InvalidArgument, match="cold"):
        load(version, warm_up=warm_up)
    signature = warmed[0].signatures["serving_default"]
    with pytest.raises(FailedPrecondition, match="is unloaded"):
        warmed[0].run({signature.inputs["x"].tensor: np.zeros(1, np.float32)}, [signature.outputs["y"].tensor])


@pytest.mark.parametrize(
    ("flags", "intra", "inter"),
    [
        ({}, 0, 0),
        ({"tensorflow_session_parallelism": 3}, 3, 3),
        ({"tensorflow_intra_op_parallelism": 4}, 4, 0),
        ({"tensorflow_inter_op_parallelism": 5}, 0, 5),
        ({"tensorflow_intra_op_parallelism": 4, "tensorflow_inter_op_parallelism": 5}, 4, 5),
        ({"tensorflow_session_parallelism": 3, "tensorflow_intra_op_parallelism": 4}, 4, 0),
    ],
)
def test_threads_of_a_session(flags, intra, inter):
    config = ConfigProto.FromString(session_config(Options(**flags)))
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (intra, inter)


def test_the_file_of_a_session_and_the_flags_that_override_it(tmp_path, version, load):
    path = tmp_path / "session.pbtxt"
    path.write_text("intra_op_parallelism_threads: 9 inter_op_parallelism_threads: 8 allow_soft_placement: true")
    options = Options(tensorflow_session_config_file=str(path), tensorflow_intra_op_parallelism=2)
    config = ConfigProto.FromString(session_config(options))
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (2, 8)
    assert config.allow_soft_placement
    assert "serving_default" in load(version, options).signatures
    path.write_text("nonsense")
    with pytest.raises(InvalidArgument, match=re.escape(str(path))):
        load(version, options)
    with pytest.raises(NotFound):
        load(version, Options(tensorflow_session_config_file=str(tmp_path / "gone")))


def test_the_tags_that_are_asked_for(version, load):
    assert load(version, Options(saved_model_tags="serve")).signatures
    with pytest.raises(NotFound, match="matching supplied tags"):
        load(version, Options(saved_model_tags="serve,gpu"))
