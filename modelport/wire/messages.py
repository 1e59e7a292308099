"""The messages of the TensorFlow Serving API, in a descriptor pool of our own.

Protobuf's default pool is shared by the whole process, and TensorFlow registers messages of the same names in it; a
private pool lets both live side by side, in any order of import. Package and message names are the original ones,
because gRPC method paths and `Any` type URLs carry them.

Every top-level message is an attribute of this module under its short name (`messages.PredictRequest`), every enum
value likewise (`messages.DT_FLOAT`). Source: `protos/`, compiled by `make protos`.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

POOL = DescriptorPool()


def _load() -> None:
    data = (Path(__file__).parent / "descriptors.binpb").read_bytes()
    names = globals()
    for proto in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        POOL.Add(proto)
        file = POOL.FindFileByName(proto.name)
        for name, descriptor in file.message_types_by_name.items():
            names[name] = message_factory.GetMessageClass(descriptor)
        for enum in file.enum_types_by_name.values():
            names.update(enum.values_by_name and {value.name: value.number for value in enum.values})


_load()
