"""TFRecord files, as TensorFlow writes them; and damaged at every kind of place."""

import struct

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.errors import DataLoss
from modelport.tfrecord import crc32c, read

RECORDS = [
    b"",
    b"\0",
    b"record",
    b"x" * 1023,
    b"x" * 1024,
    b"y" * 4095,
    b"y" * 4096,
    b"z" * 4097,
    bytes(range(256)) * 999,
]


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def test_what_tensorflow_writes_is_read(tmp_path):
    assert list(read(write(tmp_path / "file", RECORDS))) == RECORDS
    assert list(read(write(tmp_path / "empty", []))) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=9000), max_size=4))
def test_any_records(tmp_path_factory, records):
    assert list(read(write(tmp_path_factory.mktemp("any") / "file", records))) == records


def test_a_checksum_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_any_byte_that_changed_is_found(tmp_path):
    """In the length, its checksum, the data, its checksum; of the first record and of the second."""
    whole = write(tmp_path / "whole", [b"first", b"second"]).read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        (tmp_path / "file").write_bytes(damaged)
        with pytest.raises(DataLoss, match=r"^(corrupted|truncated) record at (0|21)\. Please verify"):
            list(read(tmp_path / "file"))


def test_a_changed_byte_of_a_long_record_is_found(tmp_path):
    whole = write(tmp_path / "whole", [b"x" * 10_000]).read_bytes()
    for place in (12, 1500, 5000, 9999, 10_011):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (tmp_path / "file").write_bytes(damaged)
        with pytest.raises(DataLoss, match="corrupted record at 0"):
            list(read(tmp_path / "file"))


def test_a_file_that_ends_anywhere_but_between_records(tmp_path):
    whole = write(tmp_path / "whole", [b"first", b"second"]).read_bytes()
    for length in range(1, len(whole)):
        (tmp_path / "file").write_bytes(whole[:length])
        if length == 21:
            assert list(read(tmp_path / "file")) == [b"first"]
            continue
        with pytest.raises(DataLoss, match=r"record at (0|21)"):
            list(read(tmp_path / "file"))


def masked(data):
    value = crc32c(data)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@pytest.mark.parametrize("length", [100, 2**31, 2**63 - 1, 2**64 - 1])
def test_a_length_that_the_file_does_not_have_takes_no_memory(tmp_path, length):
    head = struct.pack("<Q", length)
    (tmp_path / "file").write_bytes(head + masked(head) + b"data")
    with pytest.raises(DataLoss, match="truncated record at 0"):
        list(read(tmp_path / "file"))


def test_no_tfrecord_at_all(tmp_path):
    for data in (b"no TFRecord" * 9, b"\0" * 100, b"{}"):
        (tmp_path / "file").write_bytes(data)
        with pytest.raises(DataLoss, match="warmup data is in TFRecord format"):
            list(read(tmp_path / "file"))
