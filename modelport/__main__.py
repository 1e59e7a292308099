"""The `modelport` command: a table of subcommands, each loaded only when it is asked for.

Exit codes: 0 done, 1 it failed (one line on stderr says why), 2 the command line is wrong, 3 the gate refuses the
version, 4 a load is no result, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import sys
from collections.abc import Sequence
from typing import NamedTuple

from modelport import __version__
from modelport.errors import ModelportError, Refused


class Subcommand(NamedTuple):
    """Where a subcommand lives; `module` has a function `function(argv) -> int`."""

    module: str
    function: str
    extra: str  # what to install when the module is not there
    help: str


SUBCOMMANDS = {
    "train": Subcommand("modelport_training.cli", "main", "training", "data to a trained Keras model"),
    "sweep": Subcommand(
        "modelport_training.sweep.command", "main", "training", "train with other settings, looking for the best"
    ),
    "export": Subcommand(
        "modelport_export.cli", "export_main", "serving", "a Keras model to a proven SavedModel folder"
    ),
    "publish": Subcommand("modelport_export.cli", "publish_main", "serving", "a proven version into the repository"),
    "promote": Subcommand(
        "modelport_release.commands.promote",
        "promote_main",
        "cli",
        "which version answers, or bears a label; no restart",
    ),
    "rollback": Subcommand(
        "modelport_release.commands.promote", "rollback_main", "cli", "back to the version that was live before"
    ),
    "ls": Subcommand("modelport_release.commands.ls", "ls_main", "cli", "what the repository holds"),
    "show": Subcommand("modelport_release.commands.show", "show_main", "cli", "a version in a page"),
    "diff": Subcommand("modelport_release.commands.show", "diff_main", "cli", "two versions beside each other"),
    "pin": Subcommand("modelport_release.commands.collect", "pin_main", "cli", "keep a version from being collected"),
    "unpin": Subcommand("modelport_release.commands.collect", "unpin_main", "cli", "let it be collected again"),
    "gc": Subcommand("modelport_release.commands.collect", "gc_main", "cli", "remove old versions that nobody serves"),
    "quarantine": Subcommand(
        "modelport_release.commands.collect", "quarantine_main", "cli", "take a version from where servers look"
    ),
    "verify": Subcommand(
        "modelport_release.commands.ls", "verify_main", "cli", "whether versions still are what was written"
    ),
    "history": Subcommand(
        "modelport_release.commands.history", "main", "cli", "what was done with a model's versions, by whom and why"
    ),
    "report": Subcommand("modelport_release.commands.report", "main", "cli", "the report of a version, as a page"),
    "doctor": Subcommand("modelport_release.commands.doctor", "main", "cli", "what is wrong, and what to type"),
    "console": Subcommand(
        "modelport_console.cli", "main", "console", "the page: what is live, tried, changed, and taken back"
    ),
    "serve": Subcommand("modelport_serving.cli", "main", "serving", "the repository on TensorFlow Serving's API"),
    "up": Subcommand("modelport_serving.docker.stack", "up_main", "docker", "the stack of docker-compose.yml, up"),
    "down": Subcommand("modelport_serving.docker.stack", "down_main", "docker", "the stack down"),
    "logs": Subcommand("modelport_serving.docker.stack", "logs_main", "docker", "what the stack's services say"),
    "ps": Subcommand("modelport_serving.docker.stack", "ps_main", "docker", "what runs, and how healthy it is"),
    "predict": Subcommand("modelport_client.commands.predict", "main", "cli", "ask a server for predictions"),
    "loadtest": Subcommand(
        "modelport_client.loadtest.command", "main", "load", "how long a server takes, and how much it can take"
    ),
    "tune": Subcommand(
        "modelport_client.tune.command",
        "main",
        "load",
        "the settings with which a server holds a bound best",
    ),
    "status": Subcommand(
        "modelport_client.commands.looking", "status_main", "cli", "the versions of a model and their states"
    ),
    "metadata": Subcommand("modelport_client.commands.looking", "metadata_main", "cli", "the signatures of a model"),
    "demo": Subcommand("modelport_training.demo", "main", "training", "the whole path, from data to a swap under load"),
}


def help_text() -> str:
    """The list of subcommands."""
    lines = [f"  {name:<11}{subcommand.help}" for name, subcommand in SUBCOMMANDS.items()]
    return "\n".join(
        [
            "usage: modelport SUBCOMMAND …",
            "",
            "From a Keras model to a served prediction on TensorFlow Serving's API.",
            "",
            *lines,
            "",
            "'modelport SUBCOMMAND --help' tells more.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # no word of ours is worth failing for on a terminal without it
            stream.reconfigure(errors="replace")
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"modelport {__version__}")
        return 0
    name = words[0]
    if name not in SUBCOMMANDS:
        near = difflib.get_close_matches(name, SUBCOMMANDS, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        print(f"modelport: unknown subcommand '{name}'.{hint} 'modelport --help' lists all.", file=sys.stderr)
        return 2
    return _run(SUBCOMMANDS[name], name, words[1:])


def _run(subcommand: Subcommand, name: str, argv: Sequence[str]) -> int:
    try:
        function = getattr(importlib.import_module(subcommand.module), subcommand.function)
        return int(function(list(argv)))
    except ModelportError as error:
        print(f"modelport {name}: {error.message}", file=sys.stderr)
        return 3 if isinstance(error, Refused) else 1
    except ModuleNotFoundError as error:
        if not subcommand.extra or (error.name or "").startswith("modelport"):
            raise
        extra = "docker" if error.name == "docker" else subcommand.extra
        print(
            f"modelport {name}: '{error.name}' is not installed. Run: pip install 'modelport[{extra}]'",
            file=sys.stderr,
        )
        return 1
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return 0
    except OSError as error:  # of the output: a full disk behind `> file`, for one; ours tell of their own files
        with contextlib.suppress(OSError):
            print(f"modelport {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
