"""Asking without end while something is done to the server, and waiting for what is to come of it."""

import threading
import time
from contextlib import contextmanager

import numpy as np

from modelport.errors import ModelportError
from modelport_client import Client

IMAGE = {"image": np.zeros((1, 28, 28), np.uint8)}


@contextmanager
def asking(target, *, retry, pause=0.01):
    """Ask from a thread until the block ends; gives the versions that answered and the errors, as they come."""
    versions, errors, ending = [], [], threading.Event()

    def ask():
        with Client(target, timeout=90, retry=retry) as client:
            while not ending.wait(pause):
                try:
                    versions.append(client.predict("digits", IMAGE).version)
                except ModelportError as error:
                    errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        eventually(lambda: versions)
        yield versions, errors
    finally:
        ending.set()
        thread.join(100)


def eventually(condition, timeout=60):
    """Wait until something is true."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
