"""Write a servable as a SavedModel folder: our signatures, what they capture, and nothing else.

The Keras model itself is not saved: no optimizer slots, no training functions, no extra signatures.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.saved_model.fingerprinting_utils import write_fingerprint

from modelport import layout
from modelport.errors import DataLoss, FailedPrecondition, NotFound, from_os_error
from modelport.regular_files import read_bounded
from modelport_export.endpoint import Endpoint
from modelport_export.resources import captured_objects
from modelport_export.signatures import Signature, Spec, spec_of

_FILE = layout.SAVED_MODEL
_MOST_BYTES = 2**31  # protobuf's limit of a message
_INIT_SIGNATURE = "__saved_model_init_op"  # how TensorFlow marks what initialises tables; no client calls it


def write(folder: Path, endpoints: Mapping[str, Endpoint], holders: Sequence[Any]) -> None:
    """Write the SavedModel into an existing, empty folder.

    Args:
        folder: where to.
        endpoints: signature name → traced function.
        holders: the trackable objects that hold the captured variables and tables.

    Raises:
        FailedPrecondition: the model holds something that a SavedModel cannot.
    """
    root = tf.Module()
    captured = {id(c): c for e in endpoints.values() for c in captured_objects(e.function, holders)}
    root.captured = [c for c in captured.values() if not isinstance(c, tf.Tensor)]
    try:
        with _quiet():
            tf.saved_model.save(root, str(folder), {name: e.function for name, e in endpoints.items()})
    except OSError as error:
        raise from_os_error(error, "write a SavedModel into", folder) from error
    except Exception as error:  # tf raises AssertionError, ValueError, its own errors …
        raise FailedPrecondition(f"TensorFlow cannot save this model ({type(error).__name__}): {error}") from error
    _finish(folder, endpoints)


def _finish(folder: Path, endpoints: Mapping[str, Endpoint]) -> None:
    """Give inputs their aliases and signatures their method: `tf.saved_model.save` takes neither."""
    saved = read(folder)
    for name, definition in saved.meta_graphs[0].signature_def.items():
        if name not in endpoints:
            continue
        endpoint = endpoints[name]
        definition.method_name = endpoint.method_name
        infos = {
            alias: definition.inputs[argument].SerializeToString() for alias, argument in endpoint.arguments.items()
        }
        definition.inputs.clear()
        for alias, info in infos.items():
            definition.inputs[alias].MergeFromString(info)
    (folder / _FILE).write_bytes(saved.SerializeToString(deterministic=True))
    with _quiet():
        write_fingerprint(str(folder))


def read(folder: Path) -> Any:
    """Parse `saved_model.pb`.

    Raises:
        NotFound: there is none.
        DataLoss: it does not parse.
    """
    path = folder / _FILE
    try:
        data = read_bounded(path, _MOST_BYTES)
    except NotFound as error:
        raise NotFound(f"Expected a SavedModel folder with '{_FILE}' in it. Received: {str(folder)!r}") from error
    try:
        saved = SavedModel.FromString(data)
    except Exception as error:  # protobuf's DecodeError has no common home across its implementations
        raise DataLoss(f"Expected a SavedModel in {str(path)!r}; it does not parse: {error}") from error
    return saved


def read_signatures(folder: Path) -> tuple[dict[str, Signature], dict[str, str]]:
    """The signatures of `read_meta_graph`, which raises what is wrong with the folder.

    Returns:
        Those of dense tensors; and of each other one why no request can carry it.
    """
    found: dict[str, Signature] = {}
    others: dict[str, str] = {}
    for name, definition in read_meta_graph(folder).signature_def.items():
        if name == _INIT_SIGNATURE:
            continue
        kinds = [
            f"{alias!r} is a {info.WhichOneof('encoding').removeprefix('coo_').removesuffix('_tensor')} tensor"
            for infos in (definition.inputs, definition.outputs)
            for alias, info in sorted(infos.items())
            if info.WhichOneof("encoding") not in ("name", None)
        ]
        if kinds:
            others[name] = (
                f"{', '.join(kinds)}, and the API's requests carry dense tensors only. Export it with dense inputs, "
                "and make them sparse inside (tf.sparse.from_dense, or a SparseTensor of three inputs)."
            )
        else:
            found[name] = _signature(definition)
    return found, others


def read_meta_graph(folder: Path) -> Any:
    """The meta graph tagged `serve`, which is the one that servers load.

    Raises:
        NotFound, DataLoss: see `read`.
        FailedPrecondition: no meta graph is tagged `serve` only, or it has no signatures.
    """
    saved = read(folder)
    for meta_graph in saved.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == {"serve"} and set(meta_graph.signature_def) - {_INIT_SIGNATURE}:
            return meta_graph
    tags = [sorted(m.meta_info_def.tags) for m in saved.meta_graphs]
    raise FailedPrecondition(
        f"Expected a SavedModel with signatures under the tag 'serve'. Received: {str(folder)!r} with the tags {tags}. "
        "Save it with tf.saved_model.save(…, signatures=…) or model.export(…)."
    )


def _signature(definition: Any) -> Signature:
    def specs(infos: Mapping[str, Any], what: str) -> dict[str, Spec]:
        return {
            alias: spec_of(
                tf.TensorSpec(tf.TensorShape(infos[alias].tensor_shape), tf.as_dtype(infos[alias].dtype)),
                f"{what} {alias!r}",
                any_rank=True,
            )
            for alias in sorted(infos)
        }

    return Signature(specs(definition.inputs, "input"), specs(definition.outputs, "output"))


@contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow logs where it writes assets, and warns that no training happened; neither is news to our user."""
    loggers = [tf.get_logger(), logging.getLogger("absl")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
