"""Spans of OpenTelemetry around calls, where its API package is installed; without it they cost nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from modelport import __version__
from modelport.errors import ModelportError


@contextmanager
def span(method: str, model: str, target: str, headers: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """A span around a call; the headers that carry it to the server are given, with those of the call.

    Attribute names are those of OpenTelemetry's conventions for RPCs, and `modelport.model`.
    """
    found = _opentelemetry()
    if found is None or isinstance(found[0].get_tracer_provider(), found[0].ProxyTracerProvider):
        yield headers  # nobody records
        return
    trace, propagate = found
    tracer = trace.get_tracer("modelport_client", __version__)
    attributes = {"rpc.method": method, "server.address": target, "modelport.model": model}
    with tracer.start_as_current_span(
        f"modelport {method}", kind=trace.SpanKind.CLIENT, attributes=attributes, record_exception=False
    ) as current:
        carrier = dict(headers)
        propagate.inject(carrier)
        try:
            yield carrier
        except ModelportError as error:
            current.set_attribute("error.type", error.code.name)
            raise


@cache
def _opentelemetry() -> tuple[Any, Any] | None:
    try:
        from opentelemetry import propagate, trace
    except ImportError:
        return None
    return trace, propagate
