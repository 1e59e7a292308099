"""What a person sees when the server is ready: models, versions, times, addresses, and a request to paste."""

from __future__ import annotations

import io
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from modelport.dtypes import BY_NUMBER
from modelport.wire import messages
from modelport_serving.inference.run import DEFAULT_SIGNATURE
from modelport_serving.servables.servable import Servable, Signature

if TYPE_CHECKING:
    from modelport_serving.server import Server

_SAMPLES: dict[str, Any] = {"string": "text", "bool": True}
_WIDTH = 140  # columns, where there is no terminal
_MAX_SAMPLE = 16  # values in the request to paste; larger inputs are not worth pasting


def ready_text(server: Server) -> str:
    """The table as text: as wide as the terminal, and drawn with what the terminal can show."""
    is_plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    console = Console(file=text, width=shutil.get_terminal_size().columns if is_terminal else _WIDTH)
    console.print(_ready_table(server, box.ASCII if is_plain else box.HEAVY_HEAD))
    drawn = text.getvalue().rstrip("\n")
    return drawn.encode("ascii", "replace").decode() if is_plain else drawn


def _ready_table(server: Server, lines: box.Box) -> Table:
    """One row for each version that the board knows, with the signature that is called by default."""
    table = Table("model", "version", "state", "signature", "load s", "warm-up s", title="READY", box=lines)
    for model in server.core.models:
        for version, status in server.core.board.versions(model.name).items():
            row = [model.name, str(version), status.state.name]
            if version in server.core.manager.available(model.name):
                with server.core.manager.handle(model.name, version) as servable:
                    warm = "-" if servable.warmup_s is None else f"{servable.warmup_s:.2f}"
                    row += [describe(servable), f"{servable.load_s:.2f}", warm]
            else:
                row += [status.message.splitlines()[0] if status.message else "", "-", "-"]
            table.add_row(*row)
    return table


def describe(servable: Servable) -> str:
    """The default signature in a line: `serving_default(image uint8[?,28,28]) → probabilities, label`."""
    signature = servable.signatures.get(DEFAULT_SIGNATURE)
    if signature is None:
        names = [name for name in servable.signatures if not name.startswith("__")]
        return ", ".join(sorted(names)) or "none"
    inputs = ", ".join(f"{alias} {_type(info)}" for alias, info in sorted(signature.proto.inputs.items()))
    return f"{signature.name}({inputs}) → {', '.join(sorted(signature.outputs))}"


def curl_line(server: Server) -> str | None:
    """A REST request that works when pasted, for the first model whose inputs are small enough; None without REST."""
    if server.rest_address is None:
        return None
    for model in server.core.models:
        if not server.core.manager.available(model.name):
            continue
        url = f"{server.rest_address}/v1/models/{model.name}"
        with server.core.manager.handle(model.name) as servable:
            signature = servable.signatures.get(DEFAULT_SIGNATURE)
            body = None if signature is None else sample_body(signature)
        return f"curl -s {url}/metadata" if body is None else f"curl -s {url}:predict -d '{body}'"
    return None


def sample_body(signature: Signature) -> str | None:
    """A columnar predict body of one row that fits the declared shapes; None when it would be too long to paste."""
    inputs = {}
    for alias, info in signature.proto.inputs.items():
        shape = [1 if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
        row = BY_NUMBER.get(info.dtype)
        size = 1
        for dim in shape:
            size *= dim
        if row is None or size > _MAX_SAMPLE:
            return None
        value: Any = _SAMPLES.get(row.name, 1 if "int" in row.name else 1.0)
        for dim in reversed(shape):
            value = [value] * dim
        inputs[alias] = value
    return json.dumps({"inputs": inputs}) if inputs else None


def _type(info: messages.TensorInfo) -> str:
    row = BY_NUMBER.get(info.dtype)
    sizes = ",".join("?" if dim.size < 0 else str(dim.size) for dim in info.tensor_shape.dim)
    return f"{row.name if row else info.dtype}[{sizes}]"
