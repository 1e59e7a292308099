"""Big requests over REST: bodies, answers, pipelines, and clients that read nothing."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from math import isclose

import numpy as np
from serving_peers.contestants import Ports

from fairness_load import model
from fairness_load.bodies import Body
from fairness_load.outcome import LONGEST_S, Errand, Outcome

PATH = f"/v1/models/{model.NAME}:predict"
HOLD_S = 2.0  # that clients which read nothing stay after the last answer has begun
_NUMBER = re.compile(rb"-?\d[\d.e+-]*")
_EDGE = 200  # bytes at either end of a JSON answer that are looked at


def rest_body(body: Body) -> Errand:
    """Send a body of `bodies`; the answer says what it came to."""

    def fault(status: int, data: bytes) -> str | None:
        if status != body.status or status != 200:
            return None if status == body.status else f"status {status}: {data[:150].decode(errors='replace')}"
        (row,) = json.loads(data)["predictions"]
        right = row["count"] == body.count and isclose(row["total"], body.total, rel_tol=1e-5)
        return None if right else f"expected {body.count} values of {body.total}: {row}"

    def run(ports: Ports) -> Outcome:
        status, data = _post(ports, body.data, body.headers)
        return Outcome(len(body.data) + len(data), lambda: fault(status, data))

    return run


def rest_answer(signature: str, count: int, form: str) -> Errand:
    """Ask for so many values, as rows (`instances`) or as a column (`inputs`)."""
    asked = json.dumps({"signature_name": signature, form: [count]}).encode()
    ends = [float(value) for value in model.made(signature, count)[[1, -1]]]

    def fault(status: int, data: bytes) -> str | None:
        if status != 200:
            return f"status {status}: {data[:150].decode(errors='replace')}"
        if (commas := data.count(b",")) != count - 1:
            return f"expected {count} values: {commas + 1}"
        first, last = _NUMBER.findall(data[:_EDGE]), _NUMBER.findall(data[-_EDGE:])
        got = [float(first[1]), float(last[-1])]
        return None if np.allclose(got, ends, rtol=1e-6) else f"expected {ends}: {got}"

    def run(ports: Ports) -> Outcome:
        status, data = _post(ports, asked, {})
        return Outcome(len(asked) + len(data), lambda: fault(status, data))

    return run


def pipeline(count: int) -> Errand:
    """Send so many GETs at once on one connection, and read all answers."""
    asked = f"GET {PATH.removesuffix(':predict')} HTTP/1.1\r\nHost: a\r\n\r\n".encode()

    def run(ports: Ports) -> Outcome:
        received, begun = bytearray(), 0
        with socket.create_connection(("127.0.0.1", ports.rest), LONGEST_S) as connection:
            connection.setblocking(False)
            left = memoryview(asked * (count - 1) + asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            size = len(left)
            stop = time.monotonic() + LONGEST_S
            while time.monotonic() < stop:
                try:
                    if left:
                        left = left[connection.send(left) :]
                except BlockingIOError:
                    pass
                try:
                    piece = connection.recv(2**18)
                except BlockingIOError:
                    time.sleep(0.001)
                    continue
                if not piece:
                    break
                received += piece
            begun = received.count(b"HTTP/1.1 200 ")
        return Outcome(size + len(received), lambda: None if begun == count else f"expected {count} answers: {begun}")

    return run


def never_read(count: int, clients: int) -> Errand:
    """Ask for so many floats from several connections that read nothing; stay a while after all answers have begun."""
    asked = json.dumps({"signature_name": "make_floats", "instances": [count]}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(asked)}\r\n\r\n".encode()

    def run(ports: Ports) -> Outcome:
        connections = [socket.create_connection(("127.0.0.1", ports.rest), LONGEST_S) for _ in range(clients)]
        try:
            for connection in connections:
                connection.sendall(head + asked)
            begun = [connection.recv(2**12, socket.MSG_PEEK) for connection in connections]
            time.sleep(HOLD_S)
        finally:
            for connection in connections:
                connection.close()
        right = sum(data.startswith(b"HTTP/1.1 200 ") for data in begun)
        lengths = [int(found[1]) for data in begun if (found := re.search(rb"(?i)content-length: (\d+)", data))]
        return Outcome(sum(lengths), lambda: None if right == clients else f"expected {clients} answers: {right}")

    return run


def _post(ports: Ports, data: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", ports.rest, timeout=LONGEST_S, blocksize=2**20)
    try:
        connection.request("POST", PATH, data, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
