"""`modelport serve`: flags in, a server that runs until SIGTERM or Ctrl-C; with --container the real one."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.errors import Aborted, InvalidArgument, ModelportError
from modelport_serving import flags

if TYPE_CHECKING:
    from modelport_serving.server import Server


def main(argv: Sequence[str]) -> int:
    """Serve until told to stop. Returns 0 after a drained stop, 1 when the server cannot start, 2 for a wrong flag."""
    if any(word in ("-h", "--help") for word in argv):
        print(flags.help_text())
        return 0
    if "--container" in argv:
        from modelport_serving.containers import serve  # Docker's client: not for the embedded server

        return serve.main(argv, _stop_on_signals())
    try:
        options = flags.parse(argv)
    except InvalidArgument as error:
        print(f"modelport serve: {error.message}", file=sys.stderr)
        return 2
    for note in flags.unused_notes(options):
        _say(note)

    stop = _stop_on_signals()

    from modelport.quiet import native_notes_held_back

    with native_notes_held_back():
        import modelport_serving.session  # noqa: F401  # TensorFlow: not for --help and wrong flags
        from modelport_serving.server import Server
    _spare_the_collector()

    try:
        server = Server(options, warn=_say, give_up=stop.is_set)
        server.start()
    except Aborted:
        return 0
    except ModelportError as error:
        _say(f"Failed to start server. Error: {error.code.name}: {error.message}")
        if options.model_base_path and not Path(options.model_base_path).is_absolute():
            _say(f"Perhaps --model_base_path={Path(options.model_base_path).absolute()} is meant.")
        return 1
    _show(server)
    while not stop.wait(1.0):  # a wait without end would keep Python from running the signal handler on some platforms
        pass
    _say("Draining: requests under way are answered, new ones refused.")
    server.stop()
    _say("Stopped.")
    return 0


def _stop_on_signals() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set; from before TensorFlow's import on, so that no moment is unprepared."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stop.set())
    return stop


def _spare_the_collector() -> None:
    """Take what TensorFlow's import made, some 400,000 objects, out of the garbage collector's sight.

    A full collection then takes milliseconds instead of 300, so that each unload can afford one, and small requests are
    a fifth quicker. Only in a process of our own: what embeds a Server has a collector of its own to mind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _show(server: Server) -> None:
    from rich.console import Console

    from modelport_serving.ready import curl_line, ready_table

    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(ready_table(server))
    print(f"gRPC  {server.grpc_address}")
    if server.rest_address is not None:
        print(f"REST  {server.rest_address}")
        print(f"Try   {curl_line(server)}")
    print("Stop with Ctrl-C.", flush=True)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # a closed pipe or a full disk is no reason to stop serving
        print(line, file=sys.stderr, flush=True)
