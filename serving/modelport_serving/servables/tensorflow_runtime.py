"""TensorFlow as the server needs it: the C API of the library that the `tensorflow` wheels bring.

The C API is TensorFlow's public, stable face for other languages (`tensorflow/c/c_api.h`). Over Python's own way,
`import tensorflow`, it has what a server wants: the loader and the status codes and bytes of the real server, no Python
object for each operation of a graph, a start in 0.3 s instead of 3. This file holds the declarations and nothing that
knows of models; everything of the server that needs TensorFlow takes it from here.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument, from_code

_SUFFIX = ".2.dylib" if sys.platform == "darwin" else ".so.2"
_QUIET = "2"  # of TF_CPP_MIN_LOG_LEVEL: notes on CPU features are not our users' business, errors are


class Output(ctypes.Structure):
    """`TF_Output`: one output of an operation."""

    _fields_ = (("oper", c_void_p), ("index", c_int))


class Buffer(ctypes.Structure):
    """`TF_Buffer`: bytes that belong to TensorFlow."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


# name → result, arguments. `_LONG` are called without the interpreter lock, the others with it: they take less than
# giving it up and taking it again.
_LONG: dict[str, tuple[Any, list[Any]]] = {
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, POINTER(Buffer), c_void_p],
    ),
    "TF_SessionRun": (
        None,
        [
            *(c_void_p, c_void_p),  # session, options
            *(POINTER(Output), POINTER(c_void_p), c_int),
            *(POINTER(Output), POINTER(c_void_p), c_int),
            *(c_void_p, c_int, c_void_p, c_void_p),  # targets, their number, metadata, status
        ],
    ),
    "TF_CloseSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteGraph": (None, [c_void_p]),
}
_SHORT: dict[str, tuple[Any, list[Any]]] = {
    "TF_Version": (c_char_p, []),
    "TF_NewStatus": (c_void_p, []),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_NewBuffer": (POINTER(Buffer), []),
    "TF_NewBufferFromString": (c_void_p, [c_char_p, c_size_t]),
    "TF_DeleteBuffer": (None, [c_void_p]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_SetConfig": (None, [c_void_p, c_char_p, c_size_t, c_void_p]),
    "TF_DeleteSessionOptions": (None, [c_void_p]),
    "TF_NewGraph": (c_void_p, []),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_GraphNextOperation": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "TF_OperationOpType": (c_char_p, [c_void_p]),
    "TF_AllocateTensor": (c_void_p, [c_int, c_void_p, c_int, c_size_t]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_StringGetSize": (c_size_t, [c_void_p]),
    "TF_StringGetDataPointer": (c_void_p, [c_void_p]),
}


class Api:
    """The functions, by name without `TF_`."""

    def __init__(self, path: Path) -> None:
        for table, library in ((_LONG, ctypes.CDLL(str(path))), (_SHORT, ctypes.PyDLL(str(path)))):
            for name, (result, arguments) in table.items():
                function = library[name]
                function.restype, function.argtypes = result, arguments
                setattr(self, name.removeprefix("TF_"), function)

    def __getattr__(self, name: str) -> Any:  # for type checkers: the functions are set above
        raise AttributeError(name)

    @contextmanager
    def status(self) -> Iterator[int]:
        """A TF_Status for one call; raises what it says at the end.

        Raises:
            ModelportError: with TensorFlow's code and text; bytes that are no UTF-8 become lone surrogates.
        """
        status = self.NewStatus()
        try:
            yield status
            self.check(status)
        finally:
            self.DeleteStatus(status)

    def check(self, status: int) -> None:
        """Raise what a TF_Status says, unless that is OK; see `status`."""
        code = self.GetCode(status)
        if code:
            raise from_code(code, self.Message(status).decode("utf-8", "surrogateescape"))


def is_there() -> bool:
    """Whether TensorFlow is installed; nothing is loaded."""
    return importlib.util.find_spec("tensorflow") is not None


@cache
def api() -> Api:
    """Load the library, which takes 0.3 s and 250 MB; once in a process.

    Raises:
        ModuleNotFoundError: TensorFlow is not installed.
        FailedPrecondition: its wheel has no C library, or one that does not load.
    """
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    path = Path(spec.origin).parent / f"libtensorflow_cc{_SUFFIX}"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _QUIET)
    try:
        return Api(path)
    except (OSError, AttributeError) as error:
        raise FailedPrecondition(
            f"Expected TensorFlow's C library in {str(path)!r}, as its wheels for Linux and macOS bring it. It cannot "
            f"be loaded: {error}"
        ) from error


def config_proto(text: str, source: str) -> bytes:
    """A text ConfigProto, serialized; knowing all of its fields takes all of `import tensorflow`, some seconds.

    Raises:
        InvalidArgument: it is no ConfigProto; `source` is named.
    """
    from google.protobuf import text_format
    from tensorflow.core.protobuf.config_pb2 import ConfigProto

    config = ConfigProto()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise InvalidArgument(f"Invalid protobuf file: '{source}'; at line:column {error}") from error
    return bytes(config.SerializeToString())
