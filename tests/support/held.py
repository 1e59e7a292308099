"""A server whose only model, `m`, holds its runs until the test lets them go (`graphs.gated`)."""

import numpy as np

from modelport.wire import messages
from modelport_serving import Server

M = messages.ModelSpec(name="m")


def waiting(server: Server) -> int:
    """How many requests wait for a run."""
    return server._scheduler.waiting


def is_running(server: Server) -> bool:
    """Whether a request has the version, and none waits: so its run has begun."""
    return not waiting(server) and any(h.handles for h in server.core.manager._models["m"].values())


def let_go(server: Server, runs: int) -> None:
    """Let so many runs end, those to come included."""
    with server.core.handle(M) as servable:
        signature = servable.signatures["go"]
        servable.run({signature.inputs["tokens"].tensor: np.zeros(runs, np.int32)}, [signature.outputs["sent"].tensor])
