"""A headless Chromium that is driven over its own protocol, through a pipe: no driver, no port.

Source: the Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_S = 60.0


def find() -> str | None:
    """The browser, as Debian and others call it."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page; what it said on its console and what it asked the network for is kept."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._left = write, read, b""
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.console: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, url: str, width: int, *, dark: bool = False) -> None:
        """Load a page at a width in pixels, and wait until it is there."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded = False
        self._call("Page.navigate", url=url)
        deadline = time.monotonic() + WAIT_S
        while not self._loaded:
            self._take(self._message(deadline))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        return self._call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def picture(self, path: Path) -> None:
        """All of the page as a PNG file."""
        import base64

        data = self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        asked: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            asked["sessionId"] = self._session
        os.write(self._write, json.dumps(asked).encode() + b"\0")
        deadline = time.monotonic() + WAIT_S
        while True:
            message = self._message(deadline)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._take(message)

    def _message(self, deadline: float) -> Any:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._read], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            data = os.read(self._read, 65536)
            assert data, "the browser ended"
            self._left += data
        text, _, self._left = self._left.partition(b"\0")
        return json.loads(text)

    def _take(self, message: dict[str, Any]) -> None:
        facts = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(facts["request"]["url"])
            case "Log.entryAdded":
                self.console.append(facts["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.console.append(facts["exceptionDetails"]["text"])
            case "Runtime.consoleAPICalled":
                self.console.append(str([one.get("value") for one in facts["args"]]))


@contextmanager
def page(folder: Path) -> Iterator[Page]:
    """A page of a browser of its own, whose profile is in a folder."""
    browser = find()
    assert browser is not None
    (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
    # The protocol is on descriptors 3 and 4; a shell puts them there.
    flags = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage --remote-debugging-pipe"
    script = f'exec 3<&{to_read} 4>&{from_write}; exec "$0" {flags} "--user-data-dir=$1" about:blank'
    process = subprocess.Popen(
        ["bash", "-c", script, browser, str(folder / "profile")],
        pass_fds=(to_read, from_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(from_write)
    try:
        yield Page(to_write, from_read)
    finally:
        os.close(to_write)
        os.close(from_read)
        process.terminate()
        process.wait(WAIT_S)
