"""The page can be used with a screen reader and with the keyboard alone, and it is small."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ishowtts_gateway
from support.gateway_site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("chromium")

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
STATIC = Path(ishowtts_gateway.__file__).parent / "static"
MAX_ASSETS_BYTES = 150_000
_FOCUSED = """
    () => {
      const node = document.activeElement;
      if (node === document.body) return null;
      node.dataset.visited = "yes";
      // A radio button may be invisible: its label is marked then.
      const isMarked = [node, ...(node.labels ?? [])].some((one) => getComputedStyle(one).outlineStyle !== "none");
      return { id: node.id, html: node.outerHTML, isMarked };
    }
"""
_NOT_VISITED = """
    () => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
      .filter((node) => node.checkVisibility() && !node.disabled && !node.dataset.visited && node.type !== "radio")
      .map((node) => node.outerHTML)
"""


def test_axe_finds_nothing_serious(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/kitchen", reduced_motion="reduce")
    fill(site, page, expect)
    for size, scheme in itertools.product((PHONE, DESKTOP), ("light", "dark")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        assert axe_faults(page) == [], (size, scheme)


def test_everything_can_be_done_with_the_keyboard(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/kitchen", viewport=DESKTOP)
    skip = page.get_by_role("link", name="Skip to what is said now")
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    visited = [page.evaluate(_FOCUSED)]
    fill(site, page, expect)
    skip.focus()
    page.keyboard.press("Tab")
    for _ in range(200):
        focused = page.evaluate(_FOCUSED)
        if focused is None:
            break
        visited.append(focused)
        page.keyboard.press("Tab")
    assert not [one for one in visited if not one["isMarked"]], "where is the focus?"
    assert page.evaluate(_NOT_VISITED) == []
    page.get_by_label("Text of the line").focus()
    page.keyboard.type("Typed")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and sent.")
    page.keyboard.press("Enter")
    expect(page.locator("#say-answer")).to_contain_text("Accepted")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator("#state")).to_contain_text("Paused")
    expect(page.locator("#controls-answer")).to_contain_text("Paused")  # until then the key is ignored
    page.keyboard.press("p")
    expect(page.locator("#state")).not_to_contain_text("Paused")
    page.keyboard.press("s")
    expect(page.locator("#lines-list tr").filter(has_text="An endless line").first).to_contain_text("cancelled")
    expect(page.locator("#lines-list tr").filter(has_text="and sent.")).to_contain_text("finished")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_assets_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in STATIC.iterdir()}
    assert sum(sizes.values()) <= MAX_ASSETS_BYTES, sizes


def fill(site: Site, page: Page, expect: Any) -> None:
    """Something ended, something spoken, something that waits, and an open form."""
    site.kitchen.say(site.client, "A line that ends.", author="Ann")
    expect(page.locator("#lines-list")).to_contain_text("A line that ends.")
    site.kitchen.say(site.client, "An endless line.", author="Bob")
    site.kitchen.say(site.client, "A line that waits.", author="Eve", priority="low")
    expect(page.locator("#now")).to_contain_text("An endless line.")
    expect(page.locator("#queue")).to_contain_text("A line that waits.")
    page.locator("summary").filter(has_text="Add a voice").click()


def axe_faults(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [
        f"{found['impact']}: {found['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for found in violations
        if found["impact"] in {"serious", "critical"}
        for node in found["nodes"]
    ]
