"""What a hostile request costs the server: milliseconds until it is refused, beside those of an ordinary request.

    python benchmarks/limits.py

Each is sent to a running server over REST ten times; the median counts. The last column is the ratio to the ordinary
request; the aim is 50 ms for the nested brackets, and that the bombs are refused before they are inflated.
"""

from __future__ import annotations

import gzip
import http.client
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from serving_peers import model

from modelport.quiet import native_notes_held_back

TIMES = 10


def requests() -> dict[str, tuple[bytes, dict[str, str], int]]:
    """Name → body, headers, and the status that refuses it."""
    squeezed = {"Content-Encoding": "gzip"}
    row = b'{"instances": [[' + b"0.5, " * 783 + b"0.5]]}"
    return {
        "an ordinary row": (row, {}, 200),
        "500,000 brackets": (b'{"instances": ' + b"[" * 500_000, {}, 400),
        "500,000 brackets, closed": (b'{"instances": ' + b"[" * 500_000 + b"]" * 500_000 + b"}", {}, 400),
        "500,000 braces": (b'{"a":' * 500_000, {}, 400),
        "a gzip bomb of 100 MB": (gzip.compress(bytes(100_000_000)), squeezed, 413),
        "a gzip bomb of 1 GB": (gzip.compress(bytes(1_000_000_000), 1), squeezed, 413),
    }


def milliseconds(address: str, body: bytes, headers: dict[str, str], status: int) -> float:
    """The time of one request, its connection included."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", f"/v1/models/{model.NAME}:predict", body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != status:
        raise SystemExit(f"Expected status {status}. Received: {answer.status}")
    return (time.perf_counter() - begin) * 1e3


def main() -> int:
    """Measure and print."""
    with native_notes_held_back():
        from modelport_serving import AUTO, Options, Server
    folder = Path(tempfile.mkdtemp(prefix="modelport-limits-"))
    try:
        base = model.write(folder)
        table = Table("request", "sent, bytes", "refused with", "ms", "× ordinary", title="hostile requests over REST")
        with Server(Options(model_name=model.NAME, model_base_path=str(base), port=AUTO, rest_api_port=AUTO)) as server:
            address = (server.rest_address or "").removeprefix("http://")
            ordinary = 0.0
            for name, (body, headers, status) in requests().items():
                took = statistics.median(milliseconds(address, body, headers, status) for _ in range(TIMES))
                ordinary = ordinary or took
                table.add_row(name, f"{len(body):,}", str(status), f"{took:.1f}", f"{took / ordinary:.1f}")
        Console(width=100).print(table)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
