"""Takes pictures of the gateway's page: docs/gateway-desktop-light.png and five more.

`PYTHONPATH=daemon:tests .venv/bin/python -m support.gateway_pictures docs [--minutes 6]`. It needs chromium,
playwright and pillow (`scripts/setup test`). What the pictures show is real, except for the sensors of the board: two
daemons speak for some minutes, one with the natural voice, one with espeak-ng.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from support import chromium
from support.broker import Broker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.gateway_site import Attic, Kitchen

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIZES = {"desktop": ({"width": 1440, "height": 1040}, 1), "phone": ({"width": 390, "height": 844}, 2)}
SCHEMES = ("light", "dark")
_COLOURS = 256
_WORDS = "The kettle is on, and the tea will be ready in a minute."
_LINES: tuple[dict[str, Any], ...] = (
    {"text": "Good morning. It is half past seven, and six degrees outside.", "author": "Home Assistant"},
    {"text": "The tea is ready.", "author": "Ann"},
    {"text": "The washing machine has finished. It ran for 1 h 45 min.", "author": "Home Assistant"},
    {"text": "Could somebody please feed the cat before noon?", "author": "Ben"},
    {"text": "The bus leaves in 9 minutes.", "author": "timetable", "priority": "high"},
    {"text": "...", "author": "Ben"},
    {"text": "There is a parcel at the door.", "author": "doorbell", "priority": "high"},
    {"text": "Thanks for the stream, I have learned a lot today!", "author": "Zoë"},
    {"text": "Rain from 3 pm on, 8 mm until the evening.", "author": "weather"},
    {"text": "The dishwasher is empty again.", "author": "Ann"},
)
_SPOKEN = (
    "While the soup simmers, here is the news of the house: the boiler was serviced this morning, and the new "
    "filter is in. The bill arrives by the end of the month, and the technician comes again in spring."
)
_WAITING: tuple[dict[str, Any], ...] = (
    {"text": "Dinner is at seven.", "author": "Ann"},
    {"text": "The garage door has been open for ten minutes.", "author": "Home Assistant", "priority": "high"},
    {"text": "Who takes the bins out tonight?", "author": "Ben", "priority": "low"},
)


def main() -> None:
    """Speaks, and writes the pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=6.0, help="how long it speaks before the pictures are taken")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ishowtts-pictures-")))
        for name in ("broker", "kitchen", "attic", "gateway"):
            (work / name).mkdir()
        broker = stack.enter_context(Broker(work / "broker"))
        client = stack.enter_context(Client(broker.host, broker.port))
        kitchen = stack.enter_context(Kitchen(work / "kitchen", broker, _kitchen(work)))
        attic = stack.enter_context(Attic(work / "attic", broker, _settings("attic", {"kind": "espeak"})))
        gateway = stack.enter_context(GatewayProcess(work / "gateway", client.address))
        for board in (kitchen, attic):
            board.wait_ready(client)
        ends_s = time.monotonic() + 60 * arguments.minutes
        for number, line in enumerate(itertools.cycle(_LINES)):
            if time.monotonic() > ends_s:
                break
            kitchen.final(client, kitchen.say(client, **line))
            if number % 4 == 0:
                attic.say(client, "The window in the attic is open.")
            time.sleep(2)
        playwright = stack.enter_context(sync_playwright())
        browser = chromium.launch(playwright)
        stack.callback(browser.close)
        for size, scheme in itertools.product(SIZES, SCHEMES):
            spoken = kitchen.say(client, _SPOKEN, author="Ann")
            event = f"{kitchen.root}/event"
            client.wait_for(event, lambda m, line=spoken: (m.json["id"], m.json["event"]) == (line, "started"))  # type: ignore[misc]
            waiting = [kitchen.say(client, **line) for line in _WAITING]
            _take(browser, gateway.url, arguments.folder / f"gateway-{size}-{scheme}.png", size, scheme)
            for line_id in waiting:
                kitchen.final(client, line_id)


def _settings(name: str, engine: dict[str, Any]) -> dict[str, Any]:
    # The sound goes to the file of `Appliance`, as fast as a card would play it.
    return {
        "device": {"name": name},
        "board": {"source": "simulated"},
        "telemetry": {"interval_s": 2},
        "engine": engine,
        "audio": {"volume": 70},
    }


def _kitchen(work: Path) -> dict[str, Any]:
    for name in ("anna", "ben"):
        folder = work / "voices" / name
        folder.mkdir(parents=True)
        (folder / "reference.txt").write_text(_WORDS, encoding="utf-8")
        subprocess.run(["espeak-ng", "-w", folder / "reference.wav", _WORDS], check=True)
    f5 = {"voices_dir": str(work / "voices"), "voices_over_mqtt": True}
    return _settings("kitchen", {"kind": "hibari", "f5": f5})


def _take(browser: Browser, url: str, path: Path, size: str, scheme: str) -> None:
    viewport, scale = SIZES[size]
    context = browser.new_context(
        viewport=viewport,  # type: ignore[arg-type]
        device_scale_factor=scale,
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(f"{url}/#/kitchen")
    expect(page.locator("#now")).to_contain_text("While the soup simmers", timeout=30_000)
    expect(page.locator("#queue-list li")).to_have_count(len(_WAITING), timeout=30_000)
    expect(page.locator("#charts-grid svg, #charts-grid canvas").first).to_be_visible()
    time.sleep(4)  # the line goes on, and its progress can be seen
    page.screenshot(path=path)
    _shrink(path)
    if size == "desktop":
        charts = path.with_name(f"gateway-charts-{scheme}.png")
        page.locator("#charts").screenshot(path=charts)
        _shrink(charts)
    context.close()


def _shrink(path: Path) -> None:
    """Few colours are enough for a page, and take a third of the bytes."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            path, optimize=True
        )


if __name__ == "__main__":
    main()
