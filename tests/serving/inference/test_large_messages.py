"""Large requests and answers, read and written without protobuf, against protobuf's own reading and writing."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from modelport import dtypes, tensors
from modelport.dtypes import DTYPES, Layout
from modelport.errors import ModelportError
from modelport.wire import messages
from modelport_serving.inference import large_request
from modelport_serving.inference.large_request import parse
from modelport_serving.inference.large_response import LargeResponse, is_large

COUNT = 2**19  # values: more than a MiB of anything that is wider than a byte
NUMERIC = [row for row in DTYPES if row.layout is not Layout.STRING]


def numbers(row: dtypes.DType, count: int = COUNT) -> np.ndarray:
    values = np.random.default_rng(7).integers(0, 100, count)
    return (values % 2 == 0) if row.name == "bool" else (values % 7).astype(row.numpy)


def request_of(arrays: dict[str, np.ndarray], *, typed: bool) -> messages.PredictRequest:
    request = messages.PredictRequest(output_filter=["y"])
    request.model_spec.name, request.model_spec.version.value = "digits", 3
    for alias, array in arrays.items():
        tensors.encode_into(request.inputs.get_or_create(alias), array, typed=typed)
    return request


@pytest.mark.parametrize("row", NUMERIC, ids=lambda row: row.name)
@pytest.mark.parametrize("typed", [True, False])
def test_a_request_of_every_dtype(row, typed):
    array = numbers(row, 2**21 // row.numpy.itemsize).reshape(2, -1)
    few = np.array([b"a", b""], object)
    data = request_of({"x": array, "few": few}, typed=typed).SerializeToString()
    message, apart = parse(data)
    assert set(apart) == {"x"} or len(data) < 2**20
    assert message.model_spec.version.value == 3
    assert list(message.output_filter) == ["y"]
    read = tensors.decode(message.inputs["x"], apart.get("x"))
    assert read.dtype == array.dtype
    assert read.tobytes() == array.tobytes()
    assert read.shape == array.shape
    assert tensors.decode(message.inputs["few"], apart.get("few")).tolist() == few.tolist()


@pytest.mark.parametrize("row", NUMERIC, ids=lambda row: row.name)
@pytest.mark.parametrize("typed", [True, False])
def test_a_response_of_every_dtype(row, typed):
    array = numbers(row, 2**21 // row.numpy.itemsize).reshape(-1, 4)
    assert is_large(array)
    response = messages.PredictResponse()
    response.model_spec.signature_name = "s"
    tensors.encode_into(response.outputs.get_or_create("few"), np.float32([1, 2]))
    data = LargeResponse(response, {"größe": array}, typed=typed).SerializeToString()
    tensors.encode_into(response.outputs.get_or_create("größe"), array, typed=typed)
    assert messages.PredictResponse.FromString(data) == response


def test_a_string_is_none_of_ours():
    assert not is_large(np.array([b"a" * 2**21], object))
    data = request_of({"x": np.array([b"a" * 2**21], object)}, typed=True).SerializeToString()
    assert parse(data).apart == {}
    assert tensors.decode(parse(data).message.inputs["x"]).tolist() == [b"a" * 2**21]


def double(data: bytes) -> bytes:
    """An alias that is named twice: the last one counts."""
    return data + request_of({"x": np.zeros(3, np.float32)}, typed=True).SerializeToString()


def in_two_runs(data: bytes) -> bytes:
    request = messages.PredictRequest.FromString(data)
    request.inputs["x"].float_val.append(np.float32([1]).tobytes())
    return request.SerializeToString()


def both_ways(data: bytes) -> bytes:
    request = messages.PredictRequest.FromString(data)
    request.inputs["x"].tensor_content = numbers(dtypes.BY_NAME["float"]).tobytes()
    return request.SerializeToString()


@pytest.mark.parametrize("change", [double, in_two_runs, both_ways])
def test_what_is_unusual_is_read_by_protobuf(change):
    data = change(request_of({"x": numbers(dtypes.BY_NAME["float"])}, typed=True).SerializeToString())
    assert parse(data) == (messages.PredictRequest.FromString(data), {})


@given(data=st.data())
def test_whatever_is_cut_off_or_changed_reads_as_protobuf_reads_it(data):
    whole = request_of({"x": np.float32([[1, 2], [3, 4]]), "y": np.int64([5, 300])}, typed=True).SerializeToString()
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 3))):
        broken[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    sent = bytes(broken[: data.draw(st.integers(1, len(whole)))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_request, "LARGE_BYTES", 0)
        assert outcome(parse, sent) == outcome(lambda sent: (messages.PredictRequest.FromString(sent), {}), sent)


def outcome(read, data):
    """All that a server makes of a request, or the kind of its error."""
    try:
        message, apart = read(data)
        found = {}
        for alias in message.inputs:
            array = tensors.decode(message.inputs[alias], apart.get(alias))
            found[alias] = (array.dtype, array.shape, array.tolist() if array.dtype == object else array.tobytes())
        return found, message.model_spec.SerializeToString(), list(message.output_filter)
    except DecodeError:
        return DecodeError
    except ModelportError as error:
        return error.code
