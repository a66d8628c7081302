"""Starts Debian's Chromium without a window, kept off the network, with a file as its microphone."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-pings",
    # Also what ignores the flags above finds no address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
_LOOPBACK = re.compile(r"(127\.[0-9.]+|\[::1\]):[0-9]+")


def missing() -> str | None:
    """Returns why no browser can be started here; `None` if one can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed (scripts/setup test)"
    if shutil.which("chromium") is None:
        return "chromium is not installed (apt-get install chromium)"
    return None


def launch(playwright: Playwright, microphone: Path | None = None, net_log: Path | None = None) -> Browser:
    """Starts it.

    Args:
        playwright: What `sync_playwright` gives.
        microphone: A WAV file that the microphone of each page hears, again and again. Without it there is none.
        net_log: Its log of all connections, complete after it has ended; see `foreign_connections`.
    """
    arguments = list(_QUIET)
    if microphone is not None:
        arguments += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
    if net_log is not None:
        arguments.append(f"--log-net-log={net_log}")
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)


def foreign_connections(net_log: Path) -> set[str]:
    """Returns the addresses beyond this machine that it tried to connect to."""
    log = json.loads(net_log.read_text(encoding="utf-8"))
    connecting = log["constants"]["logEventTypes"]["TCP_CONNECT_ATTEMPT"]
    asked = {
        str(event["params"]["address"])
        for event in log["events"]
        if event["type"] == connecting and "address" in event.get("params", {})
    }
    assert asked, f"{net_log} names no connection at all"
    return {address for address in asked if not _LOOPBACK.fullmatch(address)}
