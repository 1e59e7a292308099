"""A SavedModel in a session of TensorFlow: load it, run it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

from modelport.errors import (
    DataLoss,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    Unimplemented,
    from_code,
)
from modelport.serverconfig import read
from modelport_serving.lean_tensorflow import SavedModelLoader, pywrap_tf_session, tf
from modelport_serving.operations import Operations, are_open_ended, keep_state, mix_rows
from modelport_serving.options import Options

Array = np.ndarray[Any, np.dtype[Any]]

_MAX_PREPARED = 256
_FILE_TROUBLES = {"; No such file or directory": NotFound, "; Permission denied": PermissionDenied}
_MISSING = (
    "Specified file path does not appear to contain a SavedModel bundle (should have a file called `saved_model.pb`)\n"
    "Specified file path: {}"
)


def _run_options(**fields: int) -> Any:
    return pywrap_tf_session.TF_NewBufferFromString(tf.compat.v1.RunOptions(**fields).SerializeToString())


_ON_THIS_THREAD = _run_options(inter_op_thread_pool=-1)
_BRIEF_S = 0.002
_MOMENT_S = 0.0005
_WATCHED_RUNS = 8
_LARGER = 2  # times the largest run that was brief


class _Prepared:
    """One set of inputs and outputs: their handles in the graph, and how long runs take."""

    __slots__ = ("_largest", "_open_ended", "_runs", "inputs", "outputs", "seconds")

    def __init__(self, inputs: list[Any], outputs: list[Any], open_ended: bool) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._open_ended = open_ended
        self._runs = 0
        self._largest = 0  # elements that a brief run had
        self.seconds = _BRIEF_S

    def is_brief(self, size: int) -> bool:
        """Whether runs of so many elements have been brief, and cannot become long by what is in the inputs."""
        is_known = self._runs >= _WATCHED_RUNS and size <= _LARGER * self._largest
        return is_known and self.seconds < _BRIEF_S and not self._open_ended

    def took(self, seconds: float, size: int) -> None:
        """Note a run of so many elements; of the times the last few count."""
        self._runs += 1
        if seconds < _BRIEF_S:
            self._largest = max(self._largest, size)
        self.seconds += (seconds - self.seconds) / 4


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise TensorFlow's errors as ours, with their code and text."""
    try:
        yield
    except tf.errors.OpError as error:
        raise from_code(error.error_code, error.message) from error


class GraphSession:
    """A SavedModel's graph in a session of its own.

    Args:
        path: the version's folder.
        tags: the meta graph's tag set, which must match exactly.
        config: thread counts and the like.

    Raises:
        NotFound: no SavedModel there, or none with these tags.
        DataLoss: files are cut short, or the variables are not all there.
        ModelportError: whatever TensorFlow says, with its code.
    """

    def __init__(self, path: Path, tags: Sequence[str] = ("serve",), config: Any = None) -> None:
        _check_files(path)
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        self._prepared: dict[tuple[tuple[str, ...], tuple[str, ...]], _Prepared] = {}
        self._prepare_lock = threading.Lock()
        try:
            with translated_errors(), self._graph.as_default():
                meta_graph = _load(self._session, path, list(tags))
        except BaseException:
            self.close()
            raise
        self._operations = Operations(self._graph, meta_graph.graph_def.library.function)
        self.signature_defs: dict[str, bytes] = {
            name: signature.SerializeToString() for name, signature in meta_graph.signature_def.items()
        }

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], timeout_ms: int | None) -> list[Array]:
        """Run once; see `Servable.run`.

        Calls the function under `Session.run` with tensor handles that were looked up once: 16 µs against 105 µs
        through `make_callable` for a small dense model, and it takes a time-out for each call, which callables do not.
        Graphs whose runs have been brief, and cannot but be, run on the calling thread: a switch to another and back
        costs as much as such a run. A time-out could not interrupt them there, and has no need to.
        """
        prepared = self._handles(tuple(feeds), tuple(fetches))
        begin = time.perf_counter()
        size = sum(array.size for array in feeds.values())
        if prepared.is_brief(size):
            arrays = self._run(prepared, feeds, _ON_THIS_THREAD)
        elif timeout_ms is None:
            arrays = self._run(prepared, feeds, None)
        else:
            options = _run_options(timeout_in_ms=timeout_ms)
            try:
                arrays = self._run(prepared, feeds, options)
            finally:
                pywrap_tf_session.TF_DeleteBuffer(options)
        prepared.took(time.perf_counter() - begin, size)
        return arrays

    def _run(self, prepared: _Prepared, feeds: Mapping[str, Array], options: Any) -> list[Array]:
        arrays = dict(zip(prepared.inputs, feeds.values(), strict=True))
        with translated_errors():
            return pywrap_tf_session.TF_SessionRun_wrapper(
                self._session._session, options, arrays, prepared.outputs, [], None
            )

    def is_momentary(self, feeds: Sequence[str], fetches: Sequence[str], size: int) -> bool:
        """Whether a run of so many elements is over sooner than another thread could be woken to do it."""
        prepared = self._prepared.get((tuple(feeds), tuple(fetches)))
        return prepared is not None and prepared.seconds < _MOMENT_S and prepared.is_brief(size)

    def keeps_rows_apart(self, fetches: Sequence[str]) -> bool:
        """Whether, as far as the graph shows, each row of these tensors follows from the same row of the inputs alone:
        no state is kept and nothing is reduced over rows."""
        try:
            kinds = self._operations.behind(fetches)
        except (KeyError, ValueError):  # a signature that names no tensor of the graph: running it says so
            return False
        return not keep_state(kinds) and not mix_rows(kinds)

    def close(self) -> None:
        """Free the variables and the graph."""
        self._session.close()
        self._prepared.clear()

    def _handles(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> _Prepared:
        key = (feeds, fetches)
        prepared = self._prepared.get(key)
        if prepared is None:
            with self._prepare_lock:
                if len(self._prepared) >= _MAX_PREPARED:  # clients choose the outputs, and their order
                    self._prepared.clear()
                inputs, outputs = self._tensors(feeds), self._tensors(fetches)
                open_ended = are_open_ended(self._operations.behind(fetches))
                prepared = self._prepared[key] = _Prepared(inputs, outputs, open_ended)
        return prepared

    def _tensors(self, names: tuple[str, ...]) -> list[Any]:
        try:
            return [self._graph.get_tensor_by_name(name)._as_tf_output() for name in names]
        except (KeyError, ValueError) as error:
            raise NotFound(f"FetchOutputs: {error}") from error


def _check_files(path: Path) -> None:
    if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
        return
    if (path / "export.meta").is_file():
        raise Unimplemented("Session Bundle is deprecated and removed.")
    raise NotFound(_MISSING.format(path))


def _load(session: Any, path: Path, tags: list[str]) -> Any:
    # The class under tf.compat.v1.saved_model.load, which warns at every call that nobody should use it.
    try:
        return SavedModelLoader(str(path)).load(session, tags)
    except RuntimeError as error:  # what the Python loader raises for tags
        raise NotFound(
            f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}. To inspect available "
            "tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`"
        ) from error
    except OSError as error:  # and for a saved_model.pb that does not parse
        if _is_cut_off((path / "saved_model.pb").read_bytes()):
            raise OutOfRange("Read less bytes than requested") from error
        raise DataLoss(f"Can't parse {path}/saved_model.pb as binary proto") from error
    except tf.errors.OpError as error:
        # What restoring says of files, with a code that the Python loader has lost on the way.
        for text, kind in _FILE_TROUBLES.items():
            if error.error_code == tf.errors.UNKNOWN and text in error.message:
                raise kind(error.message) from error
        raise
    except (ValueError, TypeError) as error:  # a graph that cannot be imported
        raise InvalidArgument(str(error)) from error


def _is_cut_off(data: bytes) -> bool:
    """Whether a message ends inside one of its fields, rather than being no message at all."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        match tag & 7:
            case 0:
                _, position = _varint(data, position)
            case 1:
                position += 8
            case 2:
                length, position = _varint(data, position)
                position += length
            case 5:
                position += 4
            case _:
                return False
    return position > len(data)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The varint at a position and the position behind it; one that is cut off ends past the data."""
    value = shift = 0
    while position < len(data):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    return value, len(data) + 1


def session_config(options: Options) -> Any:
    """The ConfigProto of a server's options: the file's, with the thread counts that are given beside it.

    Raises:
        NotFound, PermissionDenied: the file cannot be read.
        InvalidArgument: it is no ConfigProto.
    """
    config = tf.compat.v1.ConfigProto()
    if options.tensorflow_session_config_file:
        path = options.tensorflow_session_config_file
        try:
            text_format.Parse(read(path), config)
        except text_format.ParseError as error:
            raise InvalidArgument(f"Invalid protobuf file: '{path}'; at line:column {error}") from error
    intra, inter = options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism
    if intra <= 0 and inter <= 0:
        intra = inter = options.tensorflow_session_parallelism
    if intra > 0:
        config.intra_op_parallelism_threads = intra
    if inter > 0:
        config.inter_op_parallelism_threads = inter
    return config
