"""A SavedModel in a session of TensorFlow: load it, run it.

The loader, the checks of a run and the texts are those of the real server, because they are the same functions.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelport import varint
from modelport.errors import DataLoss, FailedPrecondition, ModelportError, NotFound, Unimplemented
from modelport.wire import messages
from modelport_serving.servables import tensor_memory
from modelport_serving.servables.tensorflow_runtime import Api, Buffer, Output, api

Array = np.ndarray[Any, np.dtype[Any]]

_MAX_PREPARED = 256
_MOST_OUTPUTS = 2**31 - 1  # of an operation: an index is a C int
_ON_THE_CALLING_THREAD = -1  # for RunOptions.inter_op_thread_pool
_MISSING = (
    "Specified file path does not appear to contain a SavedModel bundle (should have a file called `saved_model.pb`)\n"
    "Specified file path: {}"
)
_VARIABLES = Path("variables") / "variables.index"
_VARIABLE_KINDS = frozenset({b"VarHandleOp", b"VariableV2", b"Variable"})
_SIGNATURE_DEFS = 5  # field number of MetaGraphDef.signature_def; its entries are those of SignatureDefMap
_ENTRY = b"\x0a"  # tag of SignatureDefMap.signature_def


class _Prepared:
    """One set of inputs and outputs: their places in the graph."""

    __slots__ = ("inputs", "outputs")

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs = inputs
        self.outputs = outputs


class GraphSession:
    """A SavedModel's graph in a session of its own. `run` may be called from any thread.

    Args:
        path: the version's folder.
        tags: the meta graph's tag set, which must match exactly.
        config: a serialized ConfigProto: thread counts and the like.

    Raises:
        NotFound: no SavedModel there, or none with these tags.
        ModelportError: whatever TensorFlow says, with its code.
    """

    def __init__(self, path: Path, tags: Sequence[str] = ("serve",), config: bytes = b"") -> None:
        _check_files(path)
        self._api = api()
        self._prepared: dict[tuple[tuple[str, ...], tuple[str, ...]], _Prepared] = {}
        self._prepare_lock = threading.Lock()
        self._graph = self._api.NewGraph()
        self._session = 0
        options, meta_graph = self._api.NewSessionOptions(), self._api.NewBuffer()
        words = (ctypes.c_char_p * len(tags))(*(tag.encode() for tag in tags))
        try:
            with self._api.status() as status:
                self._api.SetConfig(options, config, len(config), status)
            with self._api.status() as status:
                self._session = self._api.LoadSessionFromSavedModel(
                    options, None, str(path).encode(), words, len(tags), self._graph, meta_graph, status
                )
            self.signature_defs = _signature_defs(meta_graph.contents)
            if not (path / _VARIABLES).exists() and self._has_variables():
                raise NotFound(
                    f"{path / _VARIABLES}; No such file or directory: the graph has variables, without values"
                )
        except BaseException:
            self.close()
            raise
        finally:
            self._api.DeleteBuffer(meta_graph)
            self._api.DeleteSessionOptions(options)

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], timeout_ms: int | None = None, *, inline: bool = False
    ) -> list[Array]:
        """Run once.

        Args:
            feeds: tensor name → array of the tensor's dtype.
            fetches: tensor names.
            timeout_ms: after which TensorFlow gives up; None for never.
            inline: run on the calling thread, which costs less than a switch to another and back, and cannot be
                interrupted: for what is known to be over at once.

        Returns:
            The fetched arrays, in the order of `fetches`; strings as object arrays of bytes.

        Raises:
            ModelportError: with the code and text of the failing operation.
            FailedPrecondition: it is closed.
        """
        tensorflow = self._api
        if not self._session:
            raise FailedPrecondition("The version is unloaded, and cannot be run any more.")
        prepared = self._handles(tuple(feeds), tuple(fetches))
        given, received = (ctypes.c_void_p * len(feeds))(), (ctypes.c_void_p * len(fetches))()
        options = _run_options(tensorflow, timeout_ms, inline)
        status = tensorflow.NewStatus()
        try:
            for index, array in enumerate(feeds.values()):
                given[index] = tensor_memory.to_tensor(tensorflow, array)
            tensorflow.SessionRun(
                self._session,
                options,
                prepared.inputs,
                given,
                len(given),
                prepared.outputs,
                received,
                len(received),
                None,
                0,
                None,
                status,
            )
            tensorflow.check(status)
            return [tensor_memory.to_array(tensorflow, tensor) for tensor in received if tensor]
        finally:
            for tensor in (*given, *received):
                if tensor:
                    tensorflow.DeleteTensor(tensor)
            tensorflow.DeleteStatus(status)
            if options is not None:
                tensorflow.DeleteBuffer(options)

    def close(self) -> None:
        """Free the variables and the graph; nobody may run it any more."""
        session, self._session = self._session, 0
        graph, self._graph = self._graph, 0
        if session:
            with contextlib.suppress(ModelportError), self._api.status() as status:
                self._api.CloseSession(session, status)
            with contextlib.suppress(ModelportError), self._api.status() as status:
                self._api.DeleteSession(session, status)
        if graph:
            self._api.DeleteGraph(graph)
        self._prepared.clear()

    def _has_variables(self) -> bool:
        """Whether the graph holds variables; TensorFlow loads it without their values, and then fails each request."""
        position = ctypes.c_size_t()
        while operation := self._api.GraphNextOperation(self._graph, ctypes.byref(position)):
            if self._api.OperationOpType(operation) in _VARIABLE_KINDS:
                return True
        return False

    def _handles(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> _Prepared:
        key = (feeds, fetches)
        prepared = self._prepared.get(key)
        if prepared is None:
            with self._prepare_lock:
                if len(self._prepared) >= _MAX_PREPARED:  # clients choose the outputs, and their order
                    self._prepared.clear()
                prepared = self._prepared[key] = _Prepared(self._places(feeds), self._places(fetches))
        return prepared

    def _places(self, names: tuple[str, ...]) -> Any:
        places = (Output * len(names))()
        for place, name in zip(places, names, strict=True):
            operation, index = _operation_and_index(name)
            place.oper = self._api.GraphOperationByName(self._graph, operation)
            if not place.oper:
                raise _not_found(name)
            place.index = index
        return places


def _operation_and_index(name: str) -> tuple[bytes, int]:
    operation, _, index = name.partition(":")
    if "\0" in operation or not (index or "0").isdecimal() or int(index or 0) > _MOST_OUTPUTS:
        raise _not_found(name)  # as C would read it, it is another name
    return operation.encode(), int(index or 0)


def _not_found(name: str) -> NotFound:
    return NotFound(f"Tensor {name or ':0'}, named by the signature, was not found in the Graph")


def _run_options(tensorflow: Api, timeout_ms: int | None, inline: bool) -> Any:
    """A TF_Buffer with the RunOptions, or None for TensorFlow's own."""
    if timeout_ms is None and not inline:
        return None
    options = messages.RunOptions(inter_op_thread_pool=_ON_THE_CALLING_THREAD if inline else 0)
    if timeout_ms is not None and not inline:
        options.timeout_in_ms = max(timeout_ms, 1)
    data = options.SerializeToString()
    return tensorflow.NewBufferFromString(data, len(data))


def _check_files(path: Path) -> None:
    if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
        return
    if (path / "export.meta").is_file():
        raise Unimplemented("Session Bundle is deprecated and removed.")
    raise NotFound(_MISSING.format(path))


def _signature_defs(meta_graph: Buffer) -> dict[str, bytes]:
    """The signatures of a serialized MetaGraphDef by name, without reading the graph, which may be large."""
    view = memoryview((ctypes.c_char * meta_graph.length).from_address(meta_graph.data)).cast("B")
    entries = b"".join(
        _ENTRY + varint.encode(np.array([len(entry)], np.uint64)) + entry for entry in _fields(view, _SIGNATURE_DEFS)
    )
    found = messages.SignatureDefMap.FromString(entries)
    return {name: signature.SerializeToString() for name, signature in found.signature_def.items()}


def _fields(view: memoryview, wanted: int) -> Iterator[bytes]:
    """The contents of a length-delimited field of a message; the others are passed over."""
    position = 0
    while position < len(view):
        tag, position = _read_varint(view, position)
        match tag & 7:
            case 0:
                _, position = _read_varint(view, position)
            case 1:
                position += 8
            case 2:
                length, position = _read_varint(view, position)
                if tag >> 3 == wanted:
                    yield bytes(view[position : position + length])
                position += length
            case 5:
                position += 4
            case kind:
                raise DataLoss(f"Expected a MetaGraphDef. Received: a field of wire type {kind}.")


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
