"""Keeps one page open while broker, daemon and gateway are killed, and says a line after each kill."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support import chromium
from support.gateway_site import Site, open_site
from support.page_faults import PageFaults

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PARTS = ("broker", "daemon", "gateway")
_RECOVERY_S = 60.0


@dataclass(frozen=True)
class PageEndurance:
    """What became of a page.

    Attributes:
        kills: How often each part was killed.
        slowest_s: The longest time from the start of a part to a line that the page shows as finished.
        faults: What went wrong on the page, except that a part did not answer while it was away.
    """

    kills: dict[str, int]
    slowest_s: float
    faults: list[str]


def keep_page_open(folder: Path, kills: int, seed: int) -> PageEndurance:
    """Kills parts at random, the same for each seed. The page recovers by itself each time, or this fails."""
    from playwright.sync_api import sync_playwright

    chance = random.Random(seed)
    counts = dict.fromkeys(_PARTS, 0)
    slowest_s = 0.0
    faults = PageFaults()
    faults.allow("ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)")
    with open_site(folder) as site, sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        page = browser.new_page()
        faults.watch(page)
        page.goto(f"{site.gateway.url}/#/kitchen")
        for number in range(kills):
            part = chance.choice(_PARTS)
            counts[part] += 1
            began_s = _kill_and_start(site, part, chance.uniform(0, 3))
            _say_and_see(site, page, f"This is line {number}, after a kill of the {part}.")
            slowest_s = max(slowest_s, time.monotonic() - began_s)
        browser.close()
    return PageEndurance(counts, round(slowest_s, 1), faults.found)


def _kill_and_start(site: Site, part: str, away_s: float) -> float:
    """Kills one part and starts it again after some time. Returns when it was started, in monotonic seconds."""
    if part == "broker":
        site.broker.kill()
    else:
        (site.kitchen if part == "daemon" else site.gateway).stop(signal.SIGKILL)
    time.sleep(away_s)
    began_s = time.monotonic()
    if part == "broker":
        site.restart_broker()
    elif part == "daemon":
        site.kitchen.start()
    else:
        site.gateway.start()
    return began_s


def _say_and_see(site: Site, page: Page, text: str) -> None:
    from playwright.sync_api import expect

    wait_ms = 1000 * _RECOVERY_S
    site.kitchen.say(site.client, text)
    expect(page.locator("#lines-list tr").filter(has_text=text)).to_contain_text("finished", timeout=wait_ms)
    expect(page.locator("#link-text")).to_have_text("Live", timeout=wait_ms)
    expect(page.locator("#notice")).to_be_hidden(timeout=wait_ms)
