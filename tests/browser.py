"""Chromium without a window and without a network: what a page becomes in it, what it complains of, and what it asks the network for."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr", "--log-level=0",
    "--virtual-time-budget=5000", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
_OWN = re.compile(r"//([a-z0-9]+\.)*(google|googleapis)\.com/")
"""what Chromium asks its maker for, whatever it shows"""


@dataclass(frozen=True)
class Shown:
    """A page after its scripts ran.

    Attributes:
        html: the document as it is then.
        console: lines that were written to the console.
        requests: addresses that were asked for, other than the file itself.
    """

    html: str
    console: list[str]
    requests: list[str]


class _Elements(HTMLParser):
    """What can be counted in a document: marks in each chart, figures of tiles, tags, text."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[int] = []
        self.figures: dict[str, str] = {}
        self.tags: list[str] = []
        self.text: list[str] = []
        self._figure = ""
        self._reads = False

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.append(tag)
        if named.get("class") == "chart":
            self.marks.append(0)
        elif tag == "path" and self.marks:
            self.marks[-1] += 1
        elif "data-figure" in named:
            self._figure = named["data-figure"]
        self._reads = tag == "dd"

    def handle_data(self, data):
        self.text.append(data)
        if self._reads and self._figure:
            self.figures.setdefault(self._figure, data)
            self._reads = False


def elements(shown: Shown) -> _Elements:
    """The document's elements, scripts left out."""
    found = _Elements()
    found.feed(re.sub(r"(?s)<script.*?</script>", "", shown.html))
    return found


@dataclass(frozen=True)
class Place:
    """Where a file is opened, in a window of how many pixels."""

    file: Path
    fragment: str = ""
    width: int = 1280


def show_all(places: Mapping[str, Place]) -> dict[str, Shown]:
    """Opens places and waits for their scripts, in frames of one window: starting Chromium takes longer than drawing pages.

    Complaints and requests are those of all of them together, and scripts are left out of the documents.
    """
    frames = "".join(
        f'<iframe src="{place.file.as_uri()}#{place.fragment}" width="{place.width}" height="800"></iframe>'
        for place in places.values()
    )
    with tempfile.TemporaryDirectory() as folder:
        window = Path(folder) / "frames.html"
        window.write_text(f"<!doctype html><body>{frames}<script>{_OUT_OF_FRAMES}</script>", encoding="utf-8")
        whole = _shown(window.as_uri(), (1280, 800), "--allow-file-access-from-files")
    documents = [html.unescape(text) for text in re.findall("(?s)<pre>(.*?)</pre>", whole.html)]
    return {name: replace(whole, html=text) for name, text in zip(places, documents, strict=True)}


_OUT_OF_FRAMES = """
onload = () => setTimeout(() => {
  const documents = [...document.querySelectorAll("iframe")].map((frame) => frame.contentDocument.documentElement);
  document.body.replaceChildren(...documents.map((shown) => {
    shown.querySelectorAll("script").forEach((script) => script.remove());
    return Object.assign(document.createElement("pre"), {textContent: shown.outerHTML});
  }));
}, 2000);
"""


def _shown(address: str, size: tuple[int, int], *flags: str) -> Shown:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "net.json"
        done = subprocess.run(
            [CHROMIUM, *_FLAGS, *flags, f"--user-data-dir={folder}/profile", f"--log-net-log={log}",
             f"--window-size={size[0]},{size[1]}", "--dump-dom", address],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        events = _events(log)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    requests = {
        str(event.get("params", {}).get("url", "")) for event in events if isinstance(event.get("params"), dict)
    }
    asked = {url for url in requests if re.match(r"(https?|wss?|ftp):", url)}
    return Shown(done.stdout, console, sorted(url for url in asked if not _OWN.search(url)))


def picture(file: Path, target: Path, fragment: str = "", size: tuple[int, int] = (1280, 800)) -> Path:
    """A screenshot of a file."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}/profile", f"--window-size={size[0]},{size[1]}",
             f"--screenshot={target}", f"{file.as_uri()}#{fragment}"],
            capture_output=True, timeout=120, check=True,
        )  # fmt: skip
    return target


def _events(log: Path) -> list[dict]:
    """Chromium's own record of its network; it may end in the middle of a line."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = text[text.index('"events": [') :].splitlines()[1:]
    events = []
    for line in lines:
        try:
            events.append(json.loads(line.rstrip().rstrip(",").removesuffix("]}").rstrip(",")))
        except ValueError:
            continue
    return events
