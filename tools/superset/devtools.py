"""A page in headless Chromium, driven over the DevTools protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import websocket

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
Message = dict[str, Any]


class Page:
    """One tab.

    Args:
        socket: the tab's DevTools connection.
    """

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._number = 0
        self.events: list[Message] = []

    def call(self, method: str, **parameters: Any) -> Message:
        """Sends a command and waits for its result; events that arrive meanwhile are kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])
            self.events.append(message)

    def wait(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Looks again whenever the page has done something, up to a time."""
        end = time.monotonic() + seconds
        self._socket.settimeout(0.5)
        try:
            while time.monotonic() < end:
                if is_done():
                    return True
                try:
                    self.events.append(json.loads(self._socket.recv()))
                except websocket.WebSocketTimeoutException:
                    continue
            return is_done()
        finally:
            self._socket.settimeout(60)

    def evaluate(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return result["result"].get("value")

    def answers(self, path: str) -> Iterator[tuple[Message, Message]]:
        """What the page asked for at an address that contains `path`, and what it got, as JSON."""
        asked = {
            event["params"]["requestId"]: event["params"]["request"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent" and path in event["params"]["request"]["url"]
        }
        finished = [
            event["params"]["requestId"] for event in self.events if event.get("method") == "Network.loadingFinished"
        ]
        for number in finished:
            if number in asked:
                body = self.call("Network.getResponseBody", requestId=number)["body"]
                yield json.loads(asked[number]["postData"]), json.loads(body)

    def picture(self, target: Path, *, height: int | None = None) -> Path:
        """A screenshot of the whole page, or of its top."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip)
        target.write_bytes(base64.b64decode(shot["data"]))
        return target


@contextmanager
def opened(cookies: dict[str, str], address: str, size: tuple[int, int]) -> Iterator[Page]:
    """A browser with one tab, logged in by cookies of the address."""
    if CHROMIUM is None:
        raise SystemExit("no Chromium - on Debian and Ubuntu: apt install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
             "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={folder}",
             f"--window-size={size[0]},{size[1]}", "about:blank"],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield _connected(Path(folder), cookies, address, size)
        finally:
            browser.terminate()
            browser.wait(20)


def _connected(folder: Path, cookies: dict[str, str], address: str, size: tuple[int, int]) -> Page:
    listening = folder / "DevToolsActivePort"
    end = time.monotonic() + 30
    while not (listening.exists() and listening.read_text().strip()):
        if time.monotonic() > end:
            raise SystemExit("Chromium does not start")
        time.sleep(0.1)
    port = listening.read_text().split()[0]
    tab = next(
        page for page in requests.get(f"http://127.0.0.1:{port}/json", timeout=10).json() if page["type"] == "page"
    )
    page = Page(websocket.create_connection(tab["webSocketDebuggerUrl"], timeout=60))
    for domain in ("Network", "Page", "Runtime"):
        page.call(f"{domain}.enable")
    page.call("Network.enable", maxPostDataSize=1 << 20, maxResourceBufferSize=1 << 26, maxTotalBufferSize=1 << 28)
    page.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
    for name, value in cookies.items():
        page.call("Network.setCookie", name=name, value=value, url=address)
    return page
