"""Arrays go into TensorFlow's memory and come out as they were: every dtype, every shape, every string."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.dtypes import DTYPES
from modelport.errors import InvalidArgument, Unimplemented
from modelport.wire import messages
from modelport_serving.servables.saved_model_session import GraphSession
from tests.support import graphs

SHAPES = [(), (1,), (0,), (0, 3), (5,), (2, 3), (1, 2, 1, 2, 1, 3, 1, 2)]
STRINGS = [b"", b"\0", b"a", b"x" * 22, b"x" * 23, b"x" * 24, b"\0" * 30, b"\xff\xfe\0", b"x" * 2**20]


def same(session, dtype, array):
    """What an identity makes of an array."""
    signature = messages.SignatureDef.FromString(session.signature_defs[dtype])
    (answer,) = session.run({signature.inputs["x"].name: array}, [signature.outputs["y"].name])
    return answer


def values_of(row, shape):
    """Bit patterns of all kinds, as an array of the dtype."""
    if row.name == "string":
        array = np.empty(shape, object)
        array.reshape(-1)[:] = [STRINGS[index % 8] for index in range(array.size)]
        return array
    size = int(np.prod(shape)) * row.numpy.itemsize
    data = np.random.default_rng(7).integers(0, 256, size, np.uint8)
    if row.name in ("bool", "int4", "uint4"):
        data &= {"bool": 1, "int4": 7, "uint4": 15}[row.name]
    return np.frombuffer(data.tobytes(), row.numpy).reshape(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("row", DTYPES, ids=lambda row: row.name)
def test_every_dtype_and_shape(identity, row, shape):
    array = values_of(row, shape)
    answer = same(identity, row.name, array)
    assert (answer.shape, answer.dtype) == (shape, row.numpy)
    assert answer.tolist() == array.tolist() if row.name == "string" else answer.tobytes() == array.tobytes()


@pytest.mark.parametrize("value", STRINGS, ids=lambda value: f"{len(value)} bytes of {value[:1]!r}")
def test_strings_of_any_length_and_content(identity, value):
    """22 bytes is the longest that TensorFlow keeps in place."""
    for count in (1, 3):
        assert same(identity, "string", np.array([value] * count, object)).tolist() == [value] * count
    assert same(identity, "string", np.array(value, object)).item() == value


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=40))
def test_any_strings(identity, values):
    array = np.empty(len(values), object)
    array[:] = values
    assert same(identity, "string", array).tolist() == values


def test_thousands_of_strings_at_once(identity):
    array = np.array([b"%d" % number * (number % 9) for number in range(20_000)], object).reshape(100, 200)
    assert same(identity, "string", array).tolist() == array.tolist()


@pytest.mark.parametrize("array", [np.array(["é", "b"]), np.array([b"\xc3\xa9", b"b"]), np.array(["é", b"b"], object)])
def test_texts_are_sent_as_utf8(identity, array):
    assert same(identity, "string", array).tolist() == ["é".encode(), b"b"]


def test_views_are_read_as_they_look(identity):
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    for view in (whole.T, whole[::2], whole[:, ::-1], np.broadcast_to(whole[0], (3, 6))):
        assert same(identity, "float", view).tolist() == view.tolist()
    words = np.array([[b"a", b"b"], [b"c", b"d"]], object)
    assert same(identity, "string", words.T).tolist() == words.T.tolist()


def test_an_answer_outlives_what_it_was_made_of(identity):
    """TensorFlow's tensor is gone when its values are read."""
    first = same(identity, "float", np.arange(1000, dtype=np.float32))
    for _ in range(50):
        same(identity, "float", np.zeros(1000, np.float32))
    assert first.tolist() == list(range(1000))
    assert not first.flags.writeable


def test_dtypes_that_tensorflow_lacks(identity):
    with pytest.raises(InvalidArgument, match="a type that TensorFlow knows"):
        same(identity, "float", np.zeros(2, "datetime64[s]"))


def test_outputs_that_no_message_can_carry(tmp_path):
    session = GraphSession(graphs.save(tmp_path / "resource", graphs.resource))
    try:
        with pytest.raises(Unimplemented, match="Expected an output of a dtype that can be sent"):
            session.run({}, ["handle:0"])
    finally:
        session.close()


def test_many_threads_at_once(identity):
    arrays = [np.array([b"%d" % (number * 7)] * 50, object) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda array: same(identity, "string", array).tolist(), arrays))
    assert answers == [array.tolist() for array in arrays]


@pytest.mark.slow
@pytest.mark.parametrize("length", [5, 100])
def test_runs_with_strings_keep_no_memory(identity, length):
    """A leak of one copy would be 100 MB of long strings here, and 72 MB of short ones."""
    array = np.array([b"x" * length] * 1000, object)
    process = psutil.Process(os.getpid())
    for _ in range(300):
        same(identity, "string", array)
    before = process.memory_info().rss
    for _ in range(3000 if length < 24 else 1000):
        same(identity, "string", array)
    assert process.memory_info().rss - before < 24 * 2**20
