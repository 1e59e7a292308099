"""Spans of OpenTelemetry, in a process of their own: who sets its provider once cannot take it back."""

import subprocess
import sys

CODE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
from modelport_client import Client
with Client("{target}") as client, trace.get_tracer("test").start_as_current_span("outer"):
    client.predict("affine", [1.0])
    try:
        client.predict("nobody", [1.0])
    except Exception:
        pass
for span in kept.get_finished_spans():
    print(span.name, span.kind.name, span.status.status_code.name, dict(span.attributes), bool(span.parent))
print("traceparent" , "{seen}")
"""


def test_a_span_for_each_call(server, fronts):
    seen = []

    def respond(front):
        seen.append(front.headers.get("traceparent"))
        fronts.respond_versioned(front)

    code = CODE.replace("{target}", fronts.start(server.rest_address, respond))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("modelport predict CLIENT UNSET")
    assert "'modelport.model': 'affine'" in first
    assert first.endswith("True")
    assert second.startswith("modelport predict CLIENT ERROR")
    assert "'error.type': 'NOT_FOUND'" in second
    assert seen
    assert all(seen)
