"""Whatever a line, an author, a board or a broker sends is shown as text, and does not break the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.gateway_process import GatewayProcess
from support.gateway_site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("chromium")

PHONE = {"width": 390, "height": 844}
SCRIPT = "<script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
RIGHT_TO_LEFT = "\u202egnp.exe \u2066 \u200f אבג \u0301\u0301\u0301"
EMOJI = "\N{PARTY POPPER}" * 1000
LONG_WORD = "a" * 1000
HOSTILE = (SCRIPT, RIGHT_TO_LEFT, EMOJI, LONG_WORD)
_TOO_WIDE = """
    () => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
      .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
      .map((node) => node.outerHTML.slice(0, 120))
"""


def test_lines_are_shown_as_text(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/kitchen", viewport=PHONE)
    for text in HOSTILE:
        site.kitchen.final(site.client, site.kitchen.say(site.client, text))
        shown = page.locator("#lines-list tr .line-text").first
        expect(shown).to_contain_text(text[:100])
        if shown.get_by_role("button").count():
            shown.get_by_role("button", name="Show all").click()
        assert shown.locator("bdi").text_content() == text
        check(page)


def test_boards_that_lie_are_shown_as_text(
    site: Site, open_page: Callable[..., Page], expect: Any, tmp_path: Path
) -> None:
    boards = {f"liar-{number}": text for number, text in enumerate(HOSTILE)}
    with GatewayProcess(tmp_path, site.client.address, {"devices": list(boards)}) as gateway:
        page = open_page("/", gateway.url, viewport=PHONE)
        for name, text in boards.items():
            for topic, value in _lies(text).items():
                payload = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                site.client.publish(f"ishowtts/{name}/{topic}", payload)
            page.get_by_role("navigation", name="Boards").get_by_role("link", name=name).click()
            expect(page.locator("#now")).to_contain_text(text[:100])
            expect(page.locator("#lines-list")).to_contain_text(text[:100])
            expect(page.locator("#alert-list")).to_contain_text(text[:100])
            check(page)
        page.close()


def test_a_board_that_sends_names_of_object_members_does_not_stop_the_page(
    site: Site, open_page: Callable[..., Page], expect: Any, tmp_path: Path
) -> None:
    with GatewayProcess(tmp_path, site.client.address, {"devices": ["constructor", "other"]}) as gateway:
        page = open_page("/#/constructor", gateway.url)
        for topic, value in _names_of_members().items():
            payload = value if isinstance(value, str) else json.dumps(value)
            site.client.publish(f"ishowtts/constructor/{topic}", payload)
        site.client.publish("ishowtts/other/availability", "online")
        expect(page.locator("#lines-list")).to_contain_text("The first line.")
        expect(page.locator("#charts")).to_contain_text("other")
        expect(page.get_by_role("navigation", name="Boards")).to_contain_text("Speaking")
        for word in ("native code", "[object", "NaN", "Infinity"):
            assert word not in page.locator("body").inner_text()
        check(page)
        site.client.publish("ishowtts/constructor/state", json.dumps({"state": "speaking", "speaking": None}))
        expect(page.locator("#now")).to_contain_text("Nothing is being said.")
        page.close()


def _names_of_members() -> dict[str, Any]:
    """One message for each topic. `constructor` and `toString` are members of every object of JavaScript."""
    name, not_text = "constructor", {"toString": 1, "valueOf": 1}
    speaking = {"id": "2", "played_s": 1e308, "left_s": 1e308, "segment": not_text, "segments": 1e308}
    line = {"id": "1", "text": "The first line.", "engine": name, "priority": name, "rtf": 1}
    return {
        "availability": "online",
        "state": {"state": not_text, "audible": False, "silent": name, "engine": name, "speaking": speaking},
        "telemetry": {"uptime_s": 1e308, "gpu": {"clock_locked": not_text}, "engines": [{"name": name, "state": name}]},
        "alert/hot": {"active": True, "value": 1e308},
        "event": {**line, "event": "finished"},
    }


def _lies(text: str) -> dict[str, Any]:
    """One message for each topic, whose fields all hold the text. The gateway drops alerts over 4 kB."""
    part = text[:200]
    line = {"id": "1", "text": text, "author": part, "voice": part, "reason": part, "detail": text, "engine": part}
    speaking = {"id": "2", "text": text, "author": part, "voice": part, "engine": part, "segment": part, "left_s": -1}
    return {
        "availability": "online",
        "info": {"version": text, "voices": [text, 1, None], "removable_voices": [text], "limits": text, "host": text},
        "state": {"state": "speaking", "speaking": speaking, "detail": text, "engine": text, "queue_depth": text},
        "alert/hot": {"active": True, "since": part, "value": part, "detail": text[:500]},
        f"alert/{text[:20].replace('/', '')}": {"active": True, "detail": text},
        "telemetry": {"ts": text, "gpu": {"mhz": text, "temp_c": {}}, "cpu": [text], "memory": None},
        "volume": text,
        "muted": text,
        "voice": text,
        "event": {**line, "event": "finished", "ts": part, "rtf": part, "ttfa_s": [], "audible": part},
    }


def check(page: Page) -> None:
    """Nothing of it ran, and the phone need not scroll sideways."""
    assert page.evaluate("window.owned") is None
    assert page.locator("main script, main img").count() == 0
    assert "\n".join(page.evaluate(_TOO_WIDE)) == ""
