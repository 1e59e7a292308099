"""Compile `protos/` to `descriptors.binpb` and `messages.pyi` (`make protos`; needs grpcio-tools).

`check()` says whether both are what the protos give now; a test calls it, so they cannot go stale.
"""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

from modelport import atomic

HERE = Path(__file__).parent
PROTOS = HERE / "protos"
DESCRIPTORS = HERE / "descriptors.binpb"
STUBS = HERE / "messages.pyi"

_SCALARS = {
    descriptor_pb2.FieldDescriptorProto.TYPE_STRING: "str",
    descriptor_pb2.FieldDescriptorProto.TYPE_BYTES: "bytes",
    descriptor_pb2.FieldDescriptorProto.TYPE_BOOL: "bool",
    descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT: "float",
    descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE: "float",
}
_STUB_HEAD = '''"""Made by `make protos`: the message classes of `messages.py`, for editors and type checkers."""

from abc import ABCMeta
from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence
from typing import Any as _Any
from typing import TypeVar

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

_M = TypeVar("_M", bound=Message)

POOL: DescriptorPool

class RepeatedMessage(MutableSequence[_M], metaclass=ABCMeta):
    def add(self, **fields: _Any) -> _M: ...

class MessageMap(Mapping[str, _M], metaclass=ABCMeta):
    def get_or_create(self, key: str) -> _M: ...
'''


def compile_descriptors() -> bytes:
    """Run the protocol compiler on all files; returns a serialized FileDescriptorSet, well-known types included."""
    builtin = importlib.resources.files("grpc_tools") / "_proto"
    files = sorted(path.name for path in PROTOS.glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        # In a process of its own: the compiler's library and TensorFlow's copy of it crash in one.
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{builtin}"]
        subprocess.run([*command, f"--descriptor_set_out={out}", "--include_imports", *files], check=True, timeout=60)
        return out.read_bytes()


def write_stubs(descriptors: bytes) -> str:
    """The text of `messages.pyi`: a class for each message, with typed fields and constructor keywords."""
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors).file
    parts = [_STUB_HEAD]
    for file in files:
        parts += [_enum_stub(enum, "") for enum in file.enum_type]
        parts += [_message_stub(message, "") for message in file.message_type if not _unused(file.name, message.name)]
    return "\n".join(parts)


def _unused(file: str, message: str) -> bool:
    return file.startswith("google/") and message not in {"Any", "Int64Value", "StringValue", "BoolValue"}


def _enum_stub(enum: descriptor_pb2.EnumDescriptorProto, indent: str) -> str:
    return "\n".join(f"{indent}{value.name}: int" for value in enum.value) + "\n"


def _message_stub(message: descriptor_pb2.DescriptorProto, indent: str) -> str:
    inner = indent + "    "
    entries = {entry.name: entry for entry in message.nested_type if entry.options.map_entry}
    lines = [f"{indent}class {message.name}(Message):"]
    lines += [_message_stub(nested, inner) for nested in message.nested_type if not nested.options.map_entry]
    lines += [_enum_stub(enum, inner).rstrip() for enum in message.enum_type]
    if message.name == "Any":
        lines.append(f"{inner}def Pack(self, msg: Message) -> None: ...")
        lines.append(f"{inner}def Unpack(self, msg: Message) -> bool: ...")
    keywords = []
    for field in message.field:
        read, write = _field_types(field, entries)
        settable = field.label != field.LABEL_REPEATED and field.type != field.TYPE_MESSAGE
        if settable:
            lines.append(f"{inner}{field.name}: {read}")
        else:
            lines += [f"{inner}@property", f"{inner}def {field.name}(self) -> {read}: ..."]
        keywords.append(f"{field.name}: {write} | None = ...")
    if keywords:
        lines.append(f"{inner}def __init__(self, *, {', '.join(keywords)}) -> None: ...")
    if len(lines) == 1:
        lines.append(f"{inner}...")
    return "\n".join(lines) + "\n"


def _field_types(
    field: descriptor_pb2.FieldDescriptorProto, entries: dict[str, descriptor_pb2.DescriptorProto]
) -> tuple[str, str]:
    """The type that reading a field gives and the type that the constructor takes."""
    kind = field.type_name.rsplit(".", 1)[-1]
    if kind in entries:
        value = entries[kind].field[1]
        name = _value_type(value)
        if value.type == value.TYPE_MESSAGE:
            return f"MessageMap[{name}]", f"Mapping[str, {name}]"
        return f"MutableMapping[str, {name}]", f"Mapping[str, {name}]"
    name = _value_type(field)
    if field.label != field.LABEL_REPEATED:
        return name, name
    if field.type == field.TYPE_MESSAGE:
        return f"RepeatedMessage[{name}]", f"Iterable[{name}]"
    return f"MutableSequence[{name}]", f"Iterable[{name}]"


def _value_type(field: descriptor_pb2.FieldDescriptorProto) -> str:
    if field.type == field.TYPE_MESSAGE:
        parts = field.type_name.split(".")
        return ".".join(part for part in parts if part[:1].isupper())
    return _SCALARS.get(field.type, "int")


def check() -> bool:
    """True when the committed files are what the protos give now."""
    descriptors = compile_descriptors()
    return DESCRIPTORS.read_bytes() == descriptors and STUBS.read_text() == write_stubs(descriptors)


def main() -> None:
    """Write both files."""
    descriptors = compile_descriptors()
    atomic.write_bytes(DESCRIPTORS, descriptors)
    atomic.write_text(STUBS, write_stubs(descriptors))
    print(f"{DESCRIPTORS.name}: {len(descriptors)} bytes; {STUBS.name}")


if __name__ == "__main__":
    main()
