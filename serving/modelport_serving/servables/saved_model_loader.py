"""Loading one version: the graph, what its publisher proved, the limits of its batching, its warm-up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from modelport import layout, manifest
from modelport.errors import FailedPrecondition, ModelportError
from modelport.regular_files import refuse_special_files
from modelport.serverconfig import read
from modelport.wire import messages
from modelport_serving.config.options import Options
from modelport_serving.core.servable_state import ServableId
from modelport_serving.monitoring.metrics import Metrics
from modelport_serving.servables.batch_limits import BatchLimits
from modelport_serving.servables.saved_model_session import GraphSession
from modelport_serving.servables.servable import Servable
from modelport_serving.servables.tensorflow_runtime import config_proto

_READ = (Path(), layout.VARIABLES, layout.ASSETS, layout.EXTRA)  # folders of a version that a load reads from


class SavedModelLoader:
    """Loads versions for the manager, on whatever thread it calls.

    Args:
        options: tags, threads, and which requests may share a run.
        limits_of: a version's folder → how its requests are batched; None where that was not asked for.
        warm_up: replays a version's recorded requests.
        metrics: told of every load.
    """

    def __init__(
        self,
        options: Options,
        limits_of: Callable[[Path], BatchLimits | None],
        warm_up: Callable[[Servable], None],
        metrics: Metrics,
    ) -> None:
        self._options = options
        self._limits_of = limits_of
        self._warm_up = warm_up
        self._metrics = metrics

    def __call__(self, servable_id: ServableId, path: Path) -> Servable:
        """Load a version and replay its warm-up requests.

        Raises:
            FailedPrecondition: the path is no folder, or a file of it is a device, a FIFO or a socket: TensorFlow
                would read it for ever.
            ModelportError: what loading, the batching parameters or a warm-up request raised.
        """
        if path.exists() and not path.is_dir():
            raise FailedPrecondition(
                f"Error while attempting to reserve resources to load servable {servable_id}: {path}; Not a directory"
            )
        begin = time.monotonic()
        try:
            servable = self._load(servable_id, path, begin)
        except ModelportError:
            self._metrics.loaded(str(path), None)
            raise
        self._metrics.loaded(str(path), servable.load_s)
        try:
            self._warm_up(servable)
        except BaseException:
            servable.close()
            raise
        return servable

    def _load(self, servable_id: ServableId, path: Path, begin: float) -> Servable:
        options = self._options
        for folder in _READ:
            refuse_special_files(path / folder)
        session = GraphSession(path, options.saved_model_tags.split(","), session_config(options))
        try:
            facts = manifest.read(path)
            return Servable(
                servable_id,
                path,
                session,
                time.monotonic() - begin,
                self._limits_of(path),
                options.join_requests,
                () if facts is None else facts.row_independent,
                () if facts is None else facts.loop_free,
            )
        except BaseException:
            session.close()
            raise


def session_config(options: Options) -> bytes:
    """The serialized ConfigProto of a server's options: the file's, with the thread counts that are given beside it.

    Raises:
        NotFound, PermissionDenied: the file cannot be read.
        InvalidArgument: it is no ConfigProto.
    """
    data = b""
    if options.tensorflow_session_config_file:
        path = options.tensorflow_session_config_file
        data = config_proto(read(path), path)
    intra, inter = options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism
    if intra <= 0 and inter <= 0:
        intra = inter = options.tensorflow_session_parallelism
    threads = messages.ConfigProto(
        intra_op_parallelism_threads=max(intra, 0), inter_op_parallelism_threads=max(inter, 0)
    )
    return data + bytes(threads.SerializeToString())  # of a field given twice, the last one counts
