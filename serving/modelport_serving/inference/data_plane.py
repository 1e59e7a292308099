"""The data plane: one method an RPC. gRPC and REST are shells around it.

Each inference is the same sequence, which stands here once: take a handle, check the request against the version, run
it, make the answer. Warm-up takes the same steps on a version that nobody can have a handle of yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from modelport.errors import Code, ModelportError, PermissionDenied
from modelport.wire import messages
from modelport_serving.batching.merging import checked_row_count, run_alone, run_together
from modelport_serving.batching.scheduler import Scheduler
from modelport_serving.core.daemon_executor import DaemonExecutor
from modelport_serving.core.harness import Handle
from modelport_serving.core.server_core import ServerCore
from modelport_serving.inference import model_service, warmup
from modelport_serving.inference.example_answers import Classification, Regression
from modelport_serving.inference.examples import (
    example_count,
    plan_classify,
    plan_multi_inference,
    plan_regress,
)
from modelport_serving.inference.large_request import Request
from modelport_serving.inference.off_loop import LARGE_BYTES, LARGE_COUNT, OffLoop, is_large
from modelport_serving.inference.predict import Response, expands, plan_columns, plan_predict
from modelport_serving.inference.run import Answer, Array, Rules, Run, spec_of
from modelport_serving.monitoring.metrics import Metrics
from modelport_serving.monitoring.request_log import Call
from modelport_serving.servables.servable import Servable, Signature

T = TypeVar("T")

Columns = tuple[Signature, Mapping[str, Array]]  # a signature, and an array for each of its inputs
Read = Callable[[Mapping[str, Signature]], Awaitable[Columns]]


class DataPlane:
    """What can be asked of a server; all methods but `warm_up` belong to the event loop.

    Args:
        core: gives handles and states.
        scheduler: runs requests.
        off_loop: threads for what is large.
        rules: what the flags say about requests.
        metrics: told of warm-ups and MultiInference's examples.
        reloads: whether HandleReloadConfigRequest is answered.
    """

    def __init__(
        self,
        core: ServerCore[Servable],
        scheduler: Scheduler,
        off_loop: OffLoop,
        rules: Rules,
        metrics: Metrics,
        *,
        reloads: bool = True,
    ) -> None:
        self.core = core
        self.off_loop = off_loop
        self._scheduler = scheduler
        self._rules = rules
        self._metrics = metrics
        self._takes_reloads = reloads
        self._reloads = DaemonExecutor(1, "reload")  # they wait for models, one after the other

    async def predict(self, request: Request, call: Call) -> Response:
        """Predict, in messages."""
        message, apart = request
        spec = spec_of(message)
        large = call.bytes_in > LARGE_BYTES or expands(message)
        return await self._infer(
            spec, call, lambda servable: plan_predict(servable, message, self._rules, apart), large=large
        )

    async def predict_columns(self, spec: messages.ModelSpec, read: Read, call: Call) -> Answer[dict[str, Array]]:
        """Predict, in arrays by alias; all outputs.

        Args:
            spec: the version.
            read: given the version's signatures, reads the request for one of them.
            call: the request's.
        """
        handle = self._handle(spec, call)
        try:
            signature, inputs = await read(handle.servable.signatures)
            run = plan_columns(handle.servable, signature, inputs, self._rules)
        except BaseException:
            handle.release()
            raise
        return await self._run(handle, run, call)

    def signatures(self, spec: messages.ModelSpec) -> Mapping[str, Signature] | None:
        """The signatures of the version that answers now; None where there is none."""
        try:
            with self.core.handle(spec) as servable:
                return servable.signatures
        except ModelportError:
            return None

    async def classify(
        self, spec: messages.ModelSpec, source: messages.Input | list[bytes], call: Call
    ) -> Classification:
        """Classify tf.Examples, given as the message or serialized one by one."""
        name = spec.signature_name
        return await self._infer(spec, call, lambda servable: plan_classify(servable, name, source, self._rules))

    async def regress(self, spec: messages.ModelSpec, source: messages.Input | list[bytes], call: Call) -> Regression:
        """Regress tf.Examples, given as the message or serialized one by one."""
        name = spec.signature_name
        return await self._infer(spec, call, lambda servable: plan_regress(servable, name, source, self._rules))

    async def multi_inference(
        self, request: messages.MultiInferenceRequest, call: Call
    ) -> messages.MultiInferenceResponse:
        """MultiInference. The first task's spec chooses the version; no task at all is a spec without a name."""
        spec = request.tasks[0].model_spec if request.tasks else messages.ModelSpec()
        self._metrics.examples(spec.name, example_count(request.input))
        return await self._infer(spec, call, lambda servable: plan_multi_inference(servable, request, self._rules))

    def abandon(self) -> None:
        """Answer what is still under way with UNAVAILABLE."""
        self._scheduler.abandon()

    def stop(self) -> None:
        """Take no more configurations; one that is waited for is waited for no longer than the core runs."""
        self._reloads.shutdown()

    def metadata(self, request: messages.GetModelMetadataRequest) -> messages.GetModelMetadataResponse:
        """GetModelMetadata; see `model_service`."""
        return model_service.metadata(self.core, request)

    def status(self, request: messages.GetModelStatusRequest) -> messages.GetModelStatusResponse:
        """GetModelStatus; see `model_service`."""
        return model_service.status(self.core, request)

    async def reload(self, request: messages.ReloadConfigRequest) -> messages.ReloadConfigResponse:
        """HandleReloadConfigRequest; see `model_service`.

        Raises:
            PermissionDenied: this server takes none.
        """
        if not self._takes_reloads:
            raise PermissionDenied("This server was started with --enable_reload=false.")
        return await asyncio.wrap_future(self._reloads.submit(model_service.reload_config, self.core, request))

    async def _infer(
        self, spec: messages.ModelSpec, call: Call, plan: Callable[[Servable], Run[T]], *, large: bool | None = None
    ) -> T:
        handle = self._handle(spec, call)
        large = call.bytes_in > LARGE_BYTES if large is None else large
        try:
            run = await self.off_loop.run(large, plan, handle.servable)
        except BaseException:
            handle.release()
            raise
        return await self._run(handle, run, call)

    def _handle(self, spec: messages.ModelSpec, call: Call) -> Handle[Servable]:
        call.model = spec.name
        handle = self.core.handle(spec)
        call.version = handle.servable.id.version
        return handle

    async def _run(self, handle: Handle[Servable], run: Run[T], call: Call) -> T:
        """Run what was planned, and make the answer; the scheduler gives the handle back."""
        arrays = await self._scheduler.run(
            handle, run.feeds, run.fetches, call.deadline, call.rpc, merges=run.merges, steady=run.steady
        )
        # A class or a regression is a message of its own, and written by itself.
        one_by_one = call.rpc != "Predict" and sum(array.size for array in arrays) > LARGE_COUNT
        call.is_large = one_by_one or is_large(arrays)
        return await self.off_loop.run(call.is_large, run.finish, arrays)

    def warm_up(self, servable: Servable, iterations: int = 1) -> None:
        """Replay a loading version's recorded requests; on the thread that loads it.

        Method names are never checked here, as in the real server.

        Raises:
            ModelportError: whatever a request raised.
        """
        path, rules = str(servable.path), Rules()
        replayers: warmup.Replayers = {
            "predict_log": lambda r: _replay(servable, plan_predict(servable, r, rules)),
            "classify_log": lambda r: _replay(
                servable, plan_classify(servable, r.model_spec.signature_name, r.input, rules)
            ),
            "regress_log": lambda r: _replay(
                servable, plan_regress(servable, r.model_spec.signature_name, r.input, rules)
            ),
            "multi_inference_log": lambda r: _replay(servable, plan_multi_inference(servable, r, rules)),
        }
        try:
            done = warmup.replay(servable.path, replayers, iterations)
        except ModelportError as error:
            self._metrics.warmed_up(path, error.code, 0.0, 0)
            raise
        if done is not None:
            servable.warmup_s = done.seconds
            self._metrics.warmed_up(path, Code.OK, done.seconds, done.records)


def _replay(servable: Servable, run: Run[Any]) -> object:
    """Run a request on a version that is not available yet, by itself."""

    def once(feeds: Mapping[str, Array]) -> list[Array]:
        return servable.run(feeds, run.fetches)

    if servable.limits is None:
        outcome = run_alone(once, run.feeds)
    else:
        checked_row_count(run.feeds, servable.limits)
        (outcome,) = run_together(once, [run.feeds], servable.limits)
    if isinstance(outcome, ModelportError):
        raise outcome
    return run.finish(outcome)
