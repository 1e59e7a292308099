"""The tensor codec against TensorFlow's own, both ways."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2

from modelport import dtypes, tensor_shapes, tensors, varint
from modelport.dtypes import DTYPES, Layout
from modelport.errors import InvalidArgument, ResourceExhausted
from modelport.wire import messages

# What tf.make_ndarray can read back; the others (4 bit integers) are checked against ourselves.
_PEER_READS = [d for d in DTYPES if d.name not in ("int4", "uint4")]
_NUMERIC = [d for d in _PEER_READS if d.layout is not Layout.STRING]


def official(proto: messages.TensorProto) -> tensor_pb2.TensorProto:
    return tensor_pb2.TensorProto.FromString(proto.SerializeToString())


def ours(proto: tensor_pb2.TensorProto) -> messages.TensorProto:
    return messages.TensorProto.FromString(proto.SerializeToString())


def arrays_of(dtype: dtypes.DType) -> st.SearchStrategy[np.ndarray]:
    """Arrays of a row of the table with arbitrary bit patterns; NaN included."""
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    if dtype.layout is Layout.STRING:
        return shapes.flatmap(lambda shape: hnp.arrays(object, shape, elements=st.binary(max_size=300)))
    if dtype.name == "bool":
        return shapes.flatmap(lambda shape: hnp.arrays(bool, shape))
    itemsize = dtype.numpy.itemsize
    raw = shapes.flatmap(lambda shape: hnp.arrays(np.uint8, (*shape, itemsize)))
    if dtype.name in ("int4", "uint4"):
        return shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=st.integers(0, 7))).map(
            lambda array: array.astype(dtype.numpy)
        )
    return raw.map(lambda array: np.ascontiguousarray(array).view(dtype.numpy).reshape(array.shape[:-1]))


def same(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal in shape, dtype and values; NaN is NaN (TensorFlow's own passage through Python makes NaNs quiet)."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return left.tobytes() == right.tobytes() or left.tolist() == right.tolist() or _equal_but_nan(left, right)


def _equal_but_nan(left: np.ndarray, right: np.ndarray) -> bool:
    if left.dtype.kind == "c":
        return _equal_but_nan(left.real, right.real) and _equal_but_nan(left.imag, right.imag)
    with np.errstate(invalid="ignore"):  # a signalling NaN that becomes a quiet one
        wide = [array.astype(np.float64) for array in (left, right)]
    return np.array_equal(*wide, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("typed", [False, True])
@given(data=st.data())
def test_round_trip(dtype, typed, data):
    array = data.draw(arrays_of(dtype))
    proto = messages.TensorProto.FromString(tensors.encode(array, dtype, typed=typed).SerializeToString())
    assert proto.dtype == dtype.number
    assert same(tensors.decode(proto), array)


@pytest.mark.parametrize("dtype", _PEER_READS, ids=lambda d: d.name)
@pytest.mark.parametrize("typed", [False, True])
@given(data=st.data())
def test_tensorflow_reads_what_we_write(dtype, typed, data):
    array = data.draw(arrays_of(dtype))
    if dtype.name.startswith("float8") and typed:
        return  # make_ndarray reads float8 from tensor_content only; the round trip above covers float8_val
    assert same(tf.make_ndarray(official(tensors.encode(array, dtype, typed=typed))), array)


@pytest.mark.parametrize("dtype", _NUMERIC, ids=lambda d: d.name)
@given(data=st.data())
def test_we_read_what_tensorflow_writes(dtype, data):
    array = data.draw(arrays_of(dtype))
    proto = tf.make_tensor_proto(array, dtype=tf.DType(dtype.number), shape=array.shape)
    assert same(tensors.decode(ours(proto)), array)


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_we_read_tensorflows_strings(values):
    proto = tf.make_tensor_proto(np.array(values, object), dtype=tf.string, shape=(len(values),))
    assert tensors.decode(ours(proto)).tolist() == values


@given(
    dtype=st.sampled_from([d for d in _NUMERIC if not d.name.startswith("float8")]),
    values=st.lists(st.integers(0, 100), max_size=6),
    size=st.integers(1, 8),
)
def test_short_and_long_value_lists(dtype, values, size):
    """Fewer values repeat the last one, none are zeros, surplus is dropped."""
    if dtype.name == "bool":
        values = [value % 2 for value in values]
    plain = np.array(values, np.int64)
    array = plain.astype(dtype.numpy_name).view(dtype.numpy) if dtype.numpy.names else plain.astype(dtype.numpy)
    proto = tensors.encode(array, dtype, typed=True)
    proto.tensor_shape.CopyFrom(tensor_shapes.shape_proto([size]))
    filled = (values + [values[-1] if values else 0] * size)[:size]
    decoded = tensors.decode(messages.TensorProto.FromString(proto.SerializeToString()))
    numbers = decoded.view(dtype.numpy_name) if dtype.numpy.names else decoded
    assert numbers.astype(np.float64 if numbers.dtype.kind != "c" else complex).tolist() == filled


def _unpacked(field: int, wire: int, payload: bytes) -> bytes:
    return bytes(varint.encode(np.array([field << 3 | wire]))) + payload


@pytest.mark.parametrize(
    ("dtype", "payloads", "expected"),
    [
        ("float", [_unpacked(5, 5, np.float32(v).tobytes()) for v in (1.5, -2.0)], [1.5, -2.0]),
        ("double", [_unpacked(6, 1, np.float64(v).tobytes()) for v in (1.5, -2.0)], [1.5, -2.0]),
        ("int32", [_unpacked(7, 0, varint.encode(np.array([v]))) for v in (7, -7)], [7, -7]),
        ("int64", [_unpacked(10, 0, varint.encode(np.array([v]))) for v in (2**40, -1)], [2**40, -1]),
        ("bool", [_unpacked(11, 0, varint.encode(np.array([v]))) for v in (0, 1)], [False, True]),
        ("half", [_unpacked(13, 0, varint.encode(np.array([15360])))] * 2, [1.0, 1.0]),
        ("uint32", [_unpacked(16, 0, varint.encode(np.array([2**31])))] * 2, [2**31] * 2),
        ("uint64", [_unpacked(17, 0, varint.encode(np.array([2**63], np.uint64)))] * 2, [2**63] * 2),
    ],
)
def test_unpacked_encodings(dtype, payloads, expected):
    """Old writers send each value with its own tag; TensorFlow's parser and ours read the same."""
    head = messages.TensorProto(dtype=dtypes.BY_NAME[dtype].number, tensor_shape=tensor_shapes.shape_proto([2]))
    data = head.SerializeToString() + b"".join(payloads)
    assert tf.make_ndarray(tensor_pb2.TensorProto.FromString(data)).tolist() == expected
    assert tensors.decode(messages.TensorProto.FromString(data)).tolist() == expected


def test_values_wrap_like_the_real_server():
    proto = messages.TensorProto(dtype=messages.DT_UINT8, tensor_shape=tensor_shapes.shape_proto([3]))
    proto.int_val.append(varint.encode(np.array([300, -1, 256])))
    assert tensors.decode(proto).tolist() == [44, 255, 0]


def test_a_missing_shape_and_an_unknown_rank_are_scalars():
    for shape in (messages.TensorShapeProto(), messages.TensorShapeProto(unknown_rank=True)):
        proto = messages.TensorProto(dtype=messages.DT_FLOAT, tensor_shape=shape)
        proto.float_val.append(np.float32(4).tobytes())
        assert tensors.decode(proto) == np.float32(4)
        assert tensors.decode(proto).shape == ()


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_strings_as_content_round_trip(values):
    proto = tensors.encode(np.array([*values, b""], object)[:-1], strings_as_content=True)
    assert not proto.string_val
    assert tensors.decode(proto).tolist() == values


def test_strings_in_tensor_content():
    proto = messages.TensorProto(dtype=messages.DT_STRING, tensor_shape=tensor_shapes.shape_proto([2]))
    proto.tensor_content = b"\x01\x03abcd"
    assert tensors.decode(proto).tolist() == [b"a", b"bcd"]


def _proto(dtype=messages.DT_FLOAT, shape=(2,), **fields) -> messages.TensorProto:
    return messages.TensorProto(dtype=dtype, tensor_shape=tensor_shapes.shape_proto(shape), **fields)


@pytest.mark.parametrize(
    ("proto", "error", "words"),
    [
        (_proto(dtype=messages.DT_INVALID), InvalidArgument, "received 0"),
        (_proto(dtype=999), InvalidArgument, "received 999"),
        (_proto(dtype=messages.DT_RESOURCE), InvalidArgument, "received 20"),
        (_proto(shape=(-1,)), InvalidArgument, "0 or more"),
        (_proto(tensor_content=b"\0" * 4), InvalidArgument, "Expected 8 bytes"),
        (_proto(tensor_content=b"\0" * 12), InvalidArgument, "received 12"),
        (_proto(float_val=[b"\0" * 6]), InvalidArgument, "units of 4 bytes"),
        (_proto(dtype=messages.DT_INT64, int64_val=[b"\x80"]), InvalidArgument, "cut off"),
        (_proto(dtype=messages.DT_INT64, int64_val=[b"\xff" * 11 + b"\x01"]), InvalidArgument, "malformed"),
        (_proto(dtype=messages.DT_STRING, tensor_content=b"\x05ab"), InvalidArgument, "Expected 2 strings"),
        (_proto(dtype=messages.DT_STRING, shape=(1,), tensor_content=b"\x05ab"), InvalidArgument, "do not add up"),
        (_proto(shape=(1 << 50,)), ResourceExhausted, "at most"),
        (_proto(shape=(1 << 40, 1 << 40)), ResourceExhausted, "at most"),
    ],
)
def test_bad_protos(proto, error, words):
    with pytest.raises(error, match=words):
        tensors.decode(messages.TensorProto.FromString(proto.SerializeToString()))


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        ([[1, 2], [3]], None, "ragged"),
        ([1, object()], None, "received object: <object .* among objects"),
        (np.array(["2026-01-01"], "datetime64[D]"), None, "datetime64"),
        ([1.5], "int32", "without loss"),
        ([300], "uint8", "without loss"),
        (["a"], "float", "received strings"),
        ([1.0], "string", "Expected strings"),
    ],
)
def test_bad_values(value, dtype, words):
    with pytest.raises(InvalidArgument, match=words):
        tensors.encode(value, dtypes.BY_NAME[dtype] if dtype else None)


def test_lists_take_the_dtype_asked_for():
    assert tensors.decode(tensors.encode([1, 2], dtypes.BY_NAME["float"])).dtype == np.float32
    assert tensors.decode(tensors.encode([1, 2], dtypes.BY_NAME["uint8"])).dtype == np.uint8
    assert tensors.decode(tensors.encode(["ü", b"\xff"])).tolist() == ["ü".encode(), b"\xff"]
    assert tensors.decode(tensors.encode([b"a\0", b"\0"])).tolist() == [b"a\0", b"\0"]


@given(hnp.arrays(np.int64, st.integers(0, 200)))
def test_varints_round_trip(values):
    assert varint.decode(varint.encode(values)).tolist() == values.tolist()


def test_arrays_of_every_memory_order():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for view in (array.T, array[:, ::2], np.asfortranarray(array), array.astype(">f4")):
        for typed in (False, True):
            assert np.array_equal(tensors.decode(tensors.encode(view, typed=typed)), view)


def test_a_boolean_is_0_or_1():
    """TensorFlow refuses others, whose meaning depends on who looks."""
    proto = messages.TensorProto(dtype=messages.DT_BOOL, tensor_shape=tensor_shapes.shape_proto([2]))
    proto.tensor_content = b"\1\0"
    assert tensors.decode(proto).tolist() == [True, False]
    proto.tensor_content = b"\1\2"
    with pytest.raises(InvalidArgument, match="0 and 1"):
        tensors.decode(proto)
