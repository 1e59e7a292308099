"""A SavedModel in a session: what is loaded and refused, what a run says, what clients can do to it."""

import gc
import itertools
import os
import shutil
import threading

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, InvalidArgument, ModelportError, NotFound, OutOfRange, Unimplemented
from modelport.wire import messages
from modelport_serving.servables.saved_model_session import GraphSession
from tests.support import graphs


@pytest.fixture
def load():
    """Load versions; closed at the end."""
    loaded: list[GraphSession] = []

    def load(*arguments, **named) -> GraphSession:
        loaded.append(GraphSession(*arguments, **named))
        return loaded[-1]

    yield load
    for session in loaded:
        session.close()


@pytest.fixture(scope="module")
def strings(tmp_path_factory):
    session = GraphSession(graphs.save(tmp_path_factory.mktemp("strings"), graphs.strings))
    yield session
    session.close()


@pytest.fixture(scope="module")
def odd_ends(tmp_path_factory):
    session = GraphSession(graphs.save(tmp_path_factory.mktemp("odd"), graphs.odd_ends))
    yield session
    session.close()


def ends(session, name="serving_default"):
    signature = messages.SignatureDef.FromString(session.signature_defs[name])
    return {a: i.name for a, i in signature.inputs.items()}, {a: i.name for a, i in signature.outputs.items()}


def ask(session, inputs, name="serving_default", **options):
    """Run a signature; its outputs by alias."""
    feeds, fetches = ends(session, name)
    arrays = session.run({feeds[a]: np.asarray(v) for a, v in inputs.items()}, list(fetches.values()), **options)
    return dict(zip(fetches, arrays, strict=True))


def test_a_signature_is_run(load, model_files):
    session = load(model_files / "affine-2")
    assert set(session.signature_defs) >= {"serving_default", "named", "text"}
    assert ask(session, {"x": np.float32([2, 4])})["y"].tolist() == [3, 4]
    assert ask(session, {"a": np.float32([2]), "b": np.float32([1])}, "named")["sum"].tolist() == [3]
    assert ask(session, {"s": np.array([b"ab"], object)}, "text")["upper_bytes"].tolist() == [b"AB"]


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("value", [b"\xff\xfe", b"12x", b"\0", b"\xed\xa0\x80"])
def test_what_a_kernel_says_of_bytes_that_are_no_text(strings, value, inline):
    """A UnicodeDecodeError, which is no error of TensorFlow's, failed all requests of the run."""
    with pytest.raises(InvalidArgument) as caught:
        ask(strings, {"x": np.array([b"1.5", value], object)}, "number", inline=inline)
    assert "StringToNumberOp could not correctly convert string: " in caught.value.message
    said = caught.value.message.encode("utf-8", "surrogateescape")
    assert value.partition(b"\0")[0] in said


@pytest.mark.parametrize(("name", "value"), [("base64", b"\xff~~"), ("image", b"\xff\xd8\xff\xe0 no picture")])
def test_other_kernels_and_bytes(strings, name, value):
    with pytest.raises(InvalidArgument):
        ask(strings, {"x": np.array([value], object)}, name)
    assert ask(strings, {"x": np.array([value], object)})["y"].tolist() == [value]


def test_dtypes_and_shapes_are_as_strict_as_the_graph(load, model_files):
    session = load(model_files / "matrix")
    assert ask(session, {"x": np.ones((2, 3), np.float32)})["y"].tolist() == [[1, 1]] * 2
    with pytest.raises(InvalidArgument, match="Matrix size-incompatible"):
        ask(session, {"x": np.ones((2, 4), np.float32)})
    with pytest.raises(InvalidArgument, match="double"):
        ask(session, {"x": np.ones((2, 3))})


def test_a_run_that_takes_too_long_is_given_up(load, model_files):
    session = load(model_files / "slow")
    with pytest.raises(DeadlineExceeded):
        ask(session, {"seconds": np.float32(20)}, timeout_ms=50)
    assert ask(session, {"seconds": np.float32(0)}, timeout_ms=30_000)["done"].item() == 0
    with pytest.raises(DeadlineExceeded):
        ask(session, {"seconds": np.float32(20)}, timeout_ms=0)


def test_inline_runs_give_the_same(load, model_files):
    session = load(model_files / "affine-2")
    x = np.arange(1000, dtype=np.float32)
    assert (ask(session, {"x": x}, inline=True)["y"] == ask(session, {"x": x})["y"]).all()
    assert ask(session, {"x": x}, inline=True, timeout_ms=1)["y"].size == 1000, "an inline run has no time-out"


def test_many_threads_run_the_same_session(load, model_files):
    session, wrong = load(model_files / "affine-2"), []

    def run(first):
        for value in range(first, first + 100):
            answer = ask(session, {"x": np.float32([value])}, inline=bool(value % 2))
            wrong.extend(got for got in answer["y"].tolist() if got != value / 2 + 2)

    threads = [threading.Thread(target=run, args=(1000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_operation_without_outputs(odd_ends):
    with pytest.raises(OutOfRange):
        ask(odd_ends, {"x": np.ones((1, 4), np.float32)}, "no_outputs")
    with pytest.raises(OutOfRange):
        ask(odd_ends, {"x": np.ones((1, 4), np.float32)}, "second_output")
    assert ask(odd_ends, {"x": np.ones((1, 4), np.float32)})["y"].tolist() == [[2] * 4]


@pytest.mark.parametrize("name", ["nobody:0", "", ":0", "y:first", "y:-1", "^y", "y:0:0", "y\0:0", f"y:{2**32}"])
def test_tensors_that_are_not_there(odd_ends, name):
    """Nor is one that C would read as another."""
    given = {"x:0": np.ones((1, 4), np.float32)}
    with pytest.raises(NotFound, match="named by the signature, was not found in the Graph"):
        odd_ends.run(given, [name])
    with pytest.raises(NotFound, match="was not found"):
        odd_ends.run({**given, name: np.ones((1, 4), np.float32)}, ["y:0"])


def test_the_order_of_outputs_is_the_askers_and_may_be_any(load, model_files):
    """Clients choose the outputs and their order: what is kept of each is bounded, and never mixed up."""
    session = load(model_files / "affine-2")
    feeds, fetches = ends(session, "named")
    x = {feeds["a"]: np.float32([3]), feeds["b"]: np.float32([1])}
    expected = {fetches["sum"]: 4, fetches["difference"]: 2}
    for length in range(1, 9):  # 510 orders
        for order in itertools.product(expected, repeat=length):
            assert [a.item() for a in session.run(x, order)] == [expected[name] for name in order]


def test_the_index_of_an_output_is_0_where_none_is_given(odd_ends):
    assert odd_ends.run({"x": np.ones((1, 4), np.float32)}, ["y"])[0].tolist() == [[2] * 4]


def test_what_is_fed_is_not_fetched(odd_ends):
    """A signature that hands its input through; the text is the real server's."""
    with pytest.raises(InvalidArgument, match="x:0 is both fed and fetched"):
        odd_ends.run({"x:0": np.ones((1, 4), np.float32)}, ["x:0"])


@pytest.mark.parametrize(
    ("tags", "found"), [(["serve"], True), (["gpu", "serve"], True), (["serve", "gpu"], True), (["gpu"], False)]
)
def test_tags_must_match_exactly(tmp_path, load, tags, found):
    folder = graphs.save(tmp_path / "m", graphs.strings, tag_sets=[["serve"], ["serve", "gpu"]])
    if found:
        assert "number" in load(folder, tags).signature_defs
    else:
        with pytest.raises(NotFound, match="Could not find meta graph def matching supplied tags"):
            load(folder, tags)


def without_graph(version):
    (version / "saved_model.pb").unlink()


def truncated(version):
    os.truncate(version / "saved_model.pb", 100)


def garbage(version):
    (version / "saved_model.pb").write_bytes(b"\xff" * 500)


def empty(version):
    os.truncate(version / "saved_model.pb", 0)


def sparse(version):
    os.truncate(version / "saved_model.pb", 2**40)


def without_variables(version):
    shutil.rmtree(version / "variables")


def without_index(version):
    (version / "variables" / "variables.index").unlink()


def without_shard(version):
    next(version.glob("variables/variables.data*")).unlink()


def short_shard(version):
    shard = next(version.glob("variables/variables.data*"))
    os.truncate(shard, shard.stat().st_size - 2)


def garbled_index(version):
    (version / "variables" / "variables.index").write_bytes(b"\0" * 500)


def session_bundle(version):
    (version / "saved_model.pb").rename(version / "export.meta")


DAMAGES = {
    without_graph: (NotFound, "does not appear to contain a SavedModel bundle"),
    truncated: (OutOfRange, "Can't parse .*saved_model.pb|Read less bytes"),
    garbage: (ModelportError, "saved_model.pb"),
    empty: (NotFound, "matching supplied tags"),
    sparse: (ModelportError, "saved_model.pb"),
    without_variables: (NotFound, "variables.index; No such file or directory: the graph has variables"),
    without_index: (NotFound, "variables.index; No such file or directory: the graph has variables"),
    without_shard: (ModelportError, "variables.data"),
    short_shard: (ModelportError, "RestoreV2"),
    garbled_index: (ModelportError, "sstable"),
    session_bundle: (Unimplemented, "Session Bundle is deprecated and removed"),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_damaged_is_refused(tmp_path, load, model_files, damage):
    version = shutil.copytree(model_files / "affine-2", tmp_path / "1")
    damage(version)
    kind, words = DAMAGES[damage]
    with pytest.raises(kind, match=words):
        load(version)


def test_a_graph_without_variables_needs_no_folder_of_them(tmp_path, load):
    session = load(graphs.save(tmp_path / "m", graphs.odd_ends))
    assert ask(session, {"x": np.ones((1, 4), np.float32)})["y"].tolist() == [[2] * 4]


def test_a_graph_in_text(tmp_path, load):
    from google.protobuf import text_format
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    folder = graphs.save(tmp_path / "m", graphs.strings)
    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (folder / "saved_model.pbtxt").write_text(text_format.MessageToString(model))
    (folder / "saved_model.pb").unlink()
    assert ask(load(folder), {"x": np.array([b"1.5"], object)}, "number")["y"].tolist() == [1.5]


def test_a_config_of_the_session_is_taken_or_refused(load, model_files):
    config = messages.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    session = load(model_files / "affine-2", config=config.SerializeToString())
    assert ask(session, {"x": np.float32([2])})["y"].tolist() == [3]
    with pytest.raises(InvalidArgument, match="Unparseable ConfigProto"):
        load(model_files / "affine-2", config=b"\xff")


def test_closing_collects_no_garbage_of_others(model_files):
    """Each unload of 150 collected the garbage of the whole process: p99 of the others rose from 11 to 151 ms."""
    session = GraphSession(model_files / "affine-2")
    collections = []
    gc.callbacks.append(lambda phase, info: collections.append((phase, info)))
    gc.disable()
    try:
        session.close()
        session.close()
    finally:
        gc.enable()
        gc.callbacks.pop()
    assert collections == []
