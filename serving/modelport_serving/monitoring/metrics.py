"""What the server measures: TensorFlow Serving's metrics under their names, and ours with the version as a label.

Names, types, labels and buckets of the former are those of the real server's page; the latter begin with `:modelport:`.
Latencies are in microseconds throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelport.errors import Code
from modelport_serving.monitoring.prometheus_text import Counter, Gauge, Histogram, Labels, growing

CONTENT_TYPE = "text/plain"

_TFS, _OURS, _LOADER, _GRAPH = (
    ":tensorflow:serving:",
    ":modelport:serving:",
    ":tensorflow:cc:saved_model:",
    ":tensorflow:core:",
)
_LATENCY = growing(10, 1.8, 33)
_QUEUING = growing(100, 1.2, 52)
_SIZES = growing(1, 2, 14)
_MICROS = 1e6


class Metrics:
    """All metrics of one server.

    Args:
        states: (model, version, state) → 1 for every version, read when the page is asked for.
        waiting: how many requests wait for a run.
    """

    def __init__(self, states: Callable[[], Mapping[Labels, float]], waiting: Callable[[], int]) -> None:
        self._requests = Counter(f"{_TFS}request_count", ("model_name", "status"))
        self._latency = Histogram(f"{_TFS}request_latency", ("model_name", "API", "entrypoint"), _LATENCY)
        self._runtime = Histogram(f"{_TFS}runtime_latency", ("model_name", "API", "runtime"), _LATENCY)
        self._examples = Histogram(f"{_TFS}request_example_counts", ("model",), _SIZES)
        self._example_total = Counter(f"{_TFS}request_example_count_total", ("model",))
        self._warm_up = Histogram(f"{_TFS}model_warmup_latency", ("model_path", "status"), _LATENCY)
        self._records = Counter(f"{_TFS}model_warmup_records_read", ("model_path", "status"))
        self._queuing = Histogram(f"{_TFS}batching_session:queuing_latency", ("thread_pool_name",), _QUEUING)
        self._runs = Counter(f"{_TFS}batching_session:wrapped_run_count")
        self._input_rows = Histogram(f"{_TFS}batching_session:input_batch_size", (), _SIZES)
        self._run_rows = Histogram(f"{_TFS}batching_session:processed_batch_size", (), _SIZES)
        self._loads = Counter(f"{_LOADER}load_attempt_count", ("model_path", "status"))
        self._load_latency = Counter(f"{_LOADER}load_latency", ("model_path",))
        self._graph_runs = Counter(f"{_GRAPH}graph_runs")
        self._graph_time = Counter(f"{_GRAPH}graph_run_time_usecs")
        ours = ("model_name", "version", "API", "entrypoint")
        self._version_requests = Counter(f"{_OURS}request_count", (*ours, "status"))
        self._version_latency = Histogram(f"{_OURS}request_latency", ours, _LATENCY)
        self._joined = Histogram(f"{_OURS}requests_in_a_run", ("model_name", "version"), _SIZES)
        self._all = [
            *(metric for metric in vars(self).values()),
            Counter(f"{_TFS}request_log_count", ("model_name", "status_code")),
            Gauge(f"{_OURS}requests_waiting", (), lambda: {(): waiting()}),
            Gauge(f"{_OURS}version_state", ("model_name", "version", "state"), states),
        ]
        self._all.sort(key=lambda metric: metric.name)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return "".join(metric.text() for metric in self._all).encode("utf-8", "surrogatepass")

    def answered(self, model: str, version: int | None, api: str, entrypoint: str, code: Code, seconds: float) -> None:
        """A request was answered.

        Args:
            model: the name that the client gave.
            version: the one that answered; None where it did not get so far.
            api: `Predict`, `Classify`, `Regress` over gRPC; the lower-case verb or "" over REST.
            entrypoint: GRPC or REST.
            code: its status.
            seconds: from the whole request to the whole answer.
        """
        self._requests.add(model, code.name)
        number = "" if version is None else str(version)
        self._version_requests.add(model, number, api, entrypoint, code.name)
        if code is Code.OK:
            self._latency.observe(seconds * _MICROS, model, api, entrypoint)
            self._version_latency.observe(seconds * _MICROS, model, number, api, entrypoint)

    def ran(self, model: str, api: str, seconds: float) -> None:
        """A request's run on the graph succeeded; one that was joined with others has the time of the whole run."""
        self._runtime.observe(seconds * _MICROS, model, api, "TF1")

    def ran_together(self, model: str, version: int, requests: int, seconds: float) -> None:
        """The graph was run once for so many requests."""
        self._graph_runs.add()
        self._graph_time.add(by=round(seconds * _MICROS))
        self._joined.observe(requests, model, str(version))

    def batched(self, rows: list[int], waited: list[float]) -> None:
        """A run of a batched model: the rows of each request in it and how many seconds it had waited."""
        self._runs.add()
        self._run_rows.observe(sum(rows))
        for count, seconds in zip(rows, waited, strict=True):
            self._input_rows.observe(count)
            self._queuing.observe(seconds * _MICROS, "")

    def examples(self, model: str, count: int) -> None:
        """A MultiInference request carried so many examples."""
        self._examples.observe(count, model)
        self._example_total.add(model, by=count)

    def loaded(self, path: str, seconds: float | None) -> None:
        """A load was tried; `seconds` is None when it failed."""
        self._loads.add(path, "fail" if seconds is None else "success")
        if seconds is not None:
            self._load_latency.add(path, by=round(seconds * _MICROS))

    def warmed_up(self, path: str, code: Code, seconds: float, records: int) -> None:
        """A warm-up file was replayed, or broke off with an error."""
        self._warm_up.observe(seconds * _MICROS, path, code.name)
        self._records.add(path, code.name, by=records)
