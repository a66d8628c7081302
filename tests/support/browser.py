"""A real Chromium without a window, driven over its DevTools protocol, for pictures of web pages."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from support.waiting import eventually
from support.websocket import WebSocket

_START_S = 60.0
# Web components hide their text from the document: this walks through all of them.
_TEXT = """
(() => {
  const parts = [];
  const walk = node => {
    if (node.nodeType === Node.TEXT_NODE) parts.push(node.data.trim());
    if (["SCRIPT", "STYLE"].includes(node.nodeName)) return;
    if (node.shadowRoot) walk(node.shadowRoot);
    node.childNodes.forEach(walk);
  };
  walk(document.documentElement);
  return parts.join(' ');
})()
"""


class Browser:
    """`with Browser(width, height) as browser: browser.open(url, …); browser.picture()`."""

    def __init__(self, width: int, height: int) -> None:
        self._profile = Path(tempfile.mkdtemp(prefix="chromium-"))
        self._process = subprocess.Popen(
            [
                "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--remote-debugging-port=0", f"--user-data-dir={self._profile}",
                f"--window-size={width},{height}", "about:blank",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._number = 0

    def __enter__(self) -> Browser:
        port_file = self._profile / "DevToolsActivePort"
        eventually(lambda: port_file.exists() and port_file.read_text().count("\n") >= 1, "Chromium", _START_S)
        port = int(port_file.read_text().splitlines()[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=_START_S) as answer:
            (page,) = [target for target in json.loads(answer.read()) if target["type"] == "page"]
        path = page["webSocketDebuggerUrl"].partition(str(port))[2]
        self._connection = WebSocket("127.0.0.1", port, path, _START_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.__exit__(kind, error, trace)
        self._process.terminate()
        self._process.wait(20)
        eventually(self._clean_up, "the end of its processes")

    def _clean_up(self) -> bool:
        """Removes its files. Its processes write some after the first one of them has ended."""
        shutil.rmtree(self._profile, ignore_errors=True)
        return not self._profile.exists()

    def open(self, url: str, script: str, text: str) -> None:
        """Opens a page, runs a script before those of the page, and waits until the page shows a text."""
        self._do("Page.enable")
        self._do("Page.addScriptToEvaluateOnNewDocument", source=script)
        self._do("Page.navigate", url=url)
        deadline = time.monotonic() + _START_S
        while text not in self.text():
            assert time.monotonic() < deadline, f"{url} does not show {text!r}, but: {self.text()[-2000:]}"
            time.sleep(0.5)

    def text(self) -> str:
        """All text of the page."""
        result = self._do("Runtime.evaluate", expression=_TEXT, returnByValue=True)
        return str(result["result"].get("value", ""))

    def picture(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self._do("Page.captureScreenshot", format="png")["data"])

    def _do(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.receive())
            if answer.get("id") == self._number:
                assert "result" in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
