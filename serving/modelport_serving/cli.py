"""`modelport serve`: flags in, a server that runs until SIGTERM or Ctrl-C; with --container the real one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from modelport.errors import Aborted, InvalidArgument, ModelportError
from modelport_serving.config import base_path_hints, flags
from modelport_serving.monitoring.line_writer import LineWriter, fill_standard_descriptors, flush_standard_streams

if TYPE_CHECKING:
    from modelport_serving.server import Server

_SWITCH_S = 0.001  # that a thread may keep the interpreter while the event loop waits for it; Python's own is 5 ms
_LAST_WORDS_S = 1.0  # for the lines that wait at the end
_HOLD_OUT_S = 3.0  # beyond the grace, after which the process ends whatever is under way


def main(argv: Sequence[str]) -> int:
    """Serve until told to stop. Returns 0 after a drained stop, 1 when the server cannot start, 2 for a wrong flag."""
    if any(word in ("-h", "--help") for word in argv):
        print(flags.help_text())
        return 0
    if "--container" in argv:
        from modelport_serving.docker import serve  # Docker's client: not for the embedded server

        return serve.main(argv, _stop_on_signals())
    try:
        options = flags.parse(argv)
    except InvalidArgument as error:
        print(f"modelport serve: {error.message}", file=sys.stderr)
        return 2
    stop = _stop_on_signals(options.grace_seconds + _HOLD_OUT_S)
    reopen: list[Callable[[], None]] = []
    signal.signal(signal.SIGHUP, lambda number, frame: [open_anew() for open_anew in reopen])
    fill_standard_descriptors()
    words = LineWriter(2)
    say = words.write
    for note in flags.unused_notes(options):
        say(note)

    from modelport.quiet import native_notes_held_back

    with native_notes_held_back():
        from modelport_serving.servables import tensorflow_runtime
        from modelport_serving.server import Server

        tensorflow_runtime.api()
    sys.setswitchinterval(_SWITCH_S)
    try:
        server = Server(options, warn=say, give_up=stop.is_set)
        reopen.append(server.reopen_log)
        server.start()
    except Aborted:
        return _end(0, words)
    except ModelportError as error:
        say(f"Failed to start server. Error: {error.code.name}: {error.message}")
        for hint in base_path_hints.hints(options.model_base_path):
            say(hint)
        return _end(1, words)
    _show(server)
    while not stop.wait(1.0):  # a wait without end would keep Python from running the signal handler on some platforms
        pass
    say("Draining: requests under way are answered, new ones refused.")
    answered = server.drain()
    server.close_log()
    say("Stopped." if answered else "Stopped; what was still under way after the grace is given up.")
    return _end(0, words)


def _stop_on_signals(hold_out_s: float | None = None) -> threading.Event:
    """An event that SIGTERM and Ctrl-C set; from before TensorFlow is loaded on, so that no moment is unprepared.

    Args:
        hold_out_s: seconds after the first signal at which the process ends, whatever hangs; None for never.
    """
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        if stop.is_set():
            if number == signal.SIGINT:  # asked for twice by a person: now
                os._exit(128 + number)
            return
        stop.set()
        if hold_out_s is not None:
            last = threading.Timer(hold_out_s, os._exit, (0,))
            last.daemon = True
            last.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


def _show(server: Server) -> None:
    from modelport_serving.startup_report import curl_line, ready_text

    say = LineWriter(1).write
    say(ready_text(server))
    say(f"gRPC  {server.grpc_address}")
    if server.rest_address is not None:
        say(f"REST  {server.rest_address}")
        say(f"Try   {curl_line(server)}")
    say("Stop with Ctrl-C.")


def _end(code: int, writer: LineWriter) -> int:
    """End the process here: its models need not be unloaded one by one, and nothing that hangs can keep it."""
    writer.close(_LAST_WORDS_S)
    flush_standard_streams()
    os._exit(code)
