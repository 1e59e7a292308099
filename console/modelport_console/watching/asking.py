"""What one server is asked, once for all viewers: the states of its models, and its Prometheus page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import urllib3

from modelport.errors import DeadlineExceeded, ModelportError, NotFound, Unavailable
from modelport_client import Client, VersionState
from modelport_console.settings import Server
from modelport_console.watching import prometheus_page
from modelport_console.watching.prometheus_page import Totals

_ANSWER_S = 2.0  # for a state or a page: a server that takes longer is told as such
_NO_MODEL = "modelport-console"
_MOST_PAGE_BYTES = 32 * 2**20  # some thousand models with all their buckets


@dataclass(frozen=True)
class Told:
    """What a server said at one look.

    Args:
        fault: why it said nothing of its models; empty where it did.
        states: model → its versions, the highest first; a model that it does not have is not there.
        faults: model → why nothing is known of it.
        page_fault: why there is no Prometheus page; empty where there is.
        totals: model → counts; empty without a page.
        at: when, on the monotonic clock.
    """

    fault: str = ""
    states: Mapping[str, Sequence[VersionState]] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    page_fault: str = ""
    totals: Mapping[str, Totals] = field(default_factory=dict)
    at: float = 0.0


class Asker:
    """Asks one server; for one thread at a time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._client = Client(server.address, timeout=_ANSWER_S, retry=False)
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=_ANSWER_S))

    def close(self) -> None:
        """Close its connections."""
        self._client.close()
        self._pool.clear()

    def ask(self, models: Sequence[str]) -> Told:
        """Its states of these models, and its page; one that does not answer is not asked for the rest."""
        states: dict[str, Sequence[VersionState]] = {}
        faults: dict[str, str] = {}
        # Where there is no model yet, a name that nobody has says whether the server answers; over REST it would be
        # counted as a failed request, and the page says as much.
        for model in models or ([] if self.server.is_rest else [_NO_MODEL]):
            try:
                states[model] = self._client.status(model)
            except NotFound:
                continue
            except (Unavailable, DeadlineExceeded) as error:
                return Told(fault=error.message, at=time.monotonic())
            except ModelportError as error:
                faults[model] = error.message
        fault, totals = self._page()
        return Told("", states, faults, fault, totals, time.monotonic())

    def _page(self) -> tuple[str, Mapping[str, Totals]]:
        url = self.server.metrics
        if url is None:
            return "Say where its REST port is (--rest http://HOST:8501) to see its traffic.", {}
        try:
            answer = self._pool.request("GET", url, preload_content=False)
            try:
                data = answer.read(_MOST_PAGE_BYTES + 1)
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return f"Its Prometheus page cannot be read at {url}: {error}", {}
        if answer.status != 200:
            return (
                f"{url} answers {answer.status}: start the server with --monitoring_config_file, a file with "
                "'prometheus_config { enable: true }', to see its traffic.",
                {},
            )
        if len(data) > _MOST_PAGE_BYTES:
            return f"{url} is larger than {_MOST_PAGE_BYTES:,} bytes.", {}
        return "", prometheus_page.read(data.decode(errors="replace"))
