"""Loading one version: the graph, the limits of its batching, its warm-up."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelport.errors import Code, FailedPrecondition, ModelportError
from modelport.serverconfig import BatchingParameters
from modelport_serving import batching, warmup
from modelport_serving.dataplane import Rules, Run, plan_predict
from modelport_serving.example_inference import plan_classify, plan_multi_inference, plan_regress
from modelport_serving.joining import checked_row_count, run_batched
from modelport_serving.metrics import Metrics
from modelport_serving.options import Options
from modelport_serving.servable import Servable
from modelport_serving.states import ServableId

Array = np.ndarray[Any, np.dtype[Any]]


class Loader:
    """Loads versions for the manager, on whatever thread it calls.

    Args:
        options: tags, threads, warm-up and batching.
        parameters: those of --batching_parameters_file.
        metrics: told of every load and warm-up.
    """

    def __init__(self, options: Options, parameters: BatchingParameters, metrics: Metrics) -> None:
        self._options = options
        self._parameters = parameters
        self._metrics = metrics

    def __call__(self, servable_id: ServableId, path: Path) -> Servable:
        """Load a version and replay its warm-up requests.

        Raises:
            FailedPrecondition: the path is no folder.
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
        if self._options.enable_model_warmup:
            try:
                self._warm_up(servable)
            except BaseException:
                servable.close()
                raise
        return servable

    def _load(self, servable_id: ServableId, path: Path, begin: float) -> Servable:
        from modelport_serving.session import GraphSession, session_config  # TensorFlow: not for --help

        options = self._options
        session = GraphSession(path, tuple(options.saved_model_tags.split(",")), session_config(options))
        try:
            return Servable(servable_id, path, session, time.monotonic() - begin, self._limits(path))
        except BaseException:
            session.close()
            raise

    def _limits(self, path: Path) -> batching.Limits | None:
        if not self._options.enable_batching:
            return None
        if self._options.enable_per_model_batching_parameters:
            return batching.limits_in(path)
        return batching.limits_of(self._parameters)

    def _warm_up(self, servable: Servable) -> None:
        path = str(servable.path)
        try:
            done = warmup.replay(servable.path, _replayers(servable), self._options.num_request_iterations_for_warmup)
        except ModelportError as error:
            self._metrics.warmed_up(path, error.code, 0.0, 0)
            raise
        if done is not None:
            servable.warmup_s = done.seconds
            self._metrics.warmed_up(path, Code.OK, done.seconds, done.records)


def _replayers(servable: Servable) -> warmup.Replayers:
    """How the kinds of recorded requests run on a loading version; method names are never checked here."""
    rules = Rules()
    limits = servable.limits

    def run_once(feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
        if limits is None:
            return servable.run(feeds, fetches)
        checked_row_count(feeds, limits)
        (outcome,) = run_batched(lambda joined: servable.run(joined, fetches), [feeds], limits)
        if isinstance(outcome, ModelportError):
            raise outcome
        return outcome

    def replay(run: Run[Any]) -> object:
        return run.finish(run_once(run.feeds, run.fetches))

    return {
        "predict_log": lambda request: replay(plan_predict(servable, request, rules)),
        "classify_log": lambda r: replay(plan_classify(servable, r.model_spec.signature_name, r.input, rules)),
        "regress_log": lambda r: replay(plan_regress(servable, r.model_spec.signature_name, r.input, rules)),
        "multi_inference_log": lambda request: replay(plan_multi_inference(servable, request, rules)),
    }
