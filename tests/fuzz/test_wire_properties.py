"""The tensor codec on any bytes, on tensors that contradict themselves, and on shapes that promise too much."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelport import dtypes, tensor_shapes, tensors, varint
from modelport.errors import InvalidArgument, ModelportError, ResourceExhausted
from modelport.wire import messages
from tests.fuzz.wire_checks import check, check_tensor

FIELDS = ("float_val", "double_val", "int_val", "int64_val", "bool_val", "scomplex_val", "dcomplex_val", "half_val")
FIELDS += ("uint32_val", "uint64_val", "string_val")
sizes = st.one_of(
    st.integers(0, 5),
    st.sampled_from([-1, 2**16, 2**31 - 1, 2**31, 2**40, 2**61, 2**62, 2**63 - 1, -(2**63)]),
)
varints = st.lists(st.integers(0, 2**64 - 1)).map(lambda values: varint.encode(np.array(values, np.uint64)))
payloads = st.one_of(st.binary(max_size=40), varints)


@st.composite
def protos(draw):
    """A TensorProto with any dtype, any shape, and values in any fields."""
    known = st.sampled_from([row.number for row in dtypes.DTYPES])
    proto = messages.TensorProto(dtype=draw(st.one_of(known, st.integers(-1, 200))))
    proto.tensor_shape.CopyFrom(tensor_shapes.shape_proto(draw(st.lists(sizes, max_size=4))))
    proto.tensor_shape.unknown_rank = draw(st.integers(0, 9)) == 0
    proto.tensor_content = draw(st.one_of(st.just(b""), payloads))
    proto.float8_val = draw(st.one_of(st.just(b""), payloads))
    for field in draw(st.lists(st.sampled_from(FIELDS), max_size=2)):
        getattr(proto, field).extend(draw(st.lists(payloads, max_size=2)))
    return proto


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    check(data)


@settings(max_examples=300, deadline=None)
@given(protos())
@example(messages.TensorProto(dtype=messages.DT_FLOAT, tensor_shape=tensor_shapes.shape_proto([2**62, 0])))
def test_any_tensor(proto):
    check_tensor(messages.TensorProto.FromString(proto.SerializeToString()))


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6), st.binary(max_size=30))
@example([2**62] * 4, b"")
def test_lengths_of_strings_that_do_not_fit(lengths, rest):
    content = varint.encode(np.array(lengths, np.uint64)) + rest
    shape = tensor_shapes.shape_proto([len(lengths)])
    check_tensor(messages.TensorProto(dtype=messages.DT_STRING, tensor_shape=shape, tensor_content=content))


@pytest.mark.parametrize("rank", [0, 1, 31, 32, 33, 63, 64])
@pytest.mark.parametrize("dtype", [messages.DT_FLOAT, messages.DT_STRING, messages.DT_INT64, messages.DT_BOOL])
def test_ranks_that_numpy_has(rank, dtype):
    proto = messages.TensorProto(dtype=dtype, tensor_shape=tensor_shapes.shape_proto([1] * rank))
    if dtype != messages.DT_STRING or rank <= 32:  # beyond, TensorFlow cannot take numpy's strings
        assert tensors.decode(proto).shape == (1,) * rank
    check_tensor(proto)


@pytest.mark.parametrize("rank", [65, 100, 253, 254, 255, 300, 10_000])
@pytest.mark.parametrize("size", [0, 1])
def test_ranks_that_numpy_lacks_are_refused(rank, size):
    """TensorFlow goes up to 254, numpy up to 64."""
    proto = messages.TensorProto(dtype=messages.DT_FLOAT, tensor_shape=tensor_shapes.shape_proto([size] * rank))
    with pytest.raises(ModelportError):
        tensors.decode(proto)


@pytest.mark.parametrize("shape", [[2**40], [2**20, 2**20], [2**62, 2**62], [2**63 - 1], [2**62, 0], [0, 2**40, 2**40]])
def test_large_shapes_of_few_bytes_allocate_nothing(shape):
    for row in dtypes.DTYPES:
        proto = messages.TensorProto(dtype=row.number, tensor_shape=tensor_shapes.shape_proto(shape))
        tracemalloc.start()
        try:
            with pytest.raises((ResourceExhausted, InvalidArgument)):
                tensors.decode(proto)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()
