"""The broker, a daemon and the gateway go away and come back. The page says so, and goes on by itself."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from support.gateway_site import Site
from support.page_faults import PageFaults

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("chromium")


def test_the_broker_goes_away_and_comes_back(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/kitchen")
    expect(page.locator("#link-text")).to_have_text("Live")
    site.broker.stop()
    try:
        expect(page.locator("#notice")).to_contain_text("The gateway has no connection to the broker")
        expect(page.locator("#link-text")).to_have_text("No broker")
        page.get_by_label("Text of the line").fill("Nobody hears this.")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#say-answer")).to_contain_text("no broker")
    finally:
        site.restart_broker()
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#link-text")).to_have_text("Live")
    page.get_by_label("Text of the line").fill("The broker is back.")
    page.get_by_role("button", name="Say it").click()
    expect(ended(page, "The broker is back.")).to_contain_text("finished")


def test_a_daemon_ends_and_starts_again(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/attic")
    site.attic.say(site.client, "An endless line that is interrupted.")
    expect(page.locator("#now")).to_contain_text("An endless line that is interrupted.")
    site.attic.stop()
    try:
        expect(page.locator("#notice")).to_contain_text("attic is offline")
        expect(page.locator("#state")).to_have_text("Offline")
        expect(page.locator("#now")).not_to_contain_text("An endless line that is interrupted.")
    finally:
        site.attic.start()
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#now")).to_contain_text("An endless line that is interrupted.")
    page.get_by_role("button", name="Skip").click()
    expect(ended(page, "An endless line that is interrupted.")).to_contain_text("cancelled")


def test_the_gateway_is_killed_and_starts_again(
    site: Site, open_page: Callable[..., Page], expect: Any, faults: PageFaults
) -> None:
    page = open_page("/#/kitchen")
    site.kitchen.say(site.client, "Before the restart.")
    expect(ended(page, "Before the restart.")).to_contain_text("finished")
    # While nobody listens, the browser itself reports each try.
    faults.allow("ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)")
    site.gateway.stop(signal.SIGKILL)
    try:
        expect(page.locator("#notice")).to_contain_text("No connection to the gateway")
        expect(page.locator("#link-text")).to_have_text("Connection lost")
        # It goes on meanwhile: the board needs no gateway.
        site.kitchen.final(site.client, site.kitchen.say(site.client, "During the restart."))
    finally:
        site.gateway.start()
    expect(page.locator("#link-text")).to_have_text("Live")
    expect(page.locator("#notice")).to_be_hidden()
    site.kitchen.say(site.client, "After the restart.")
    expect(ended(page, "After the restart.")).to_contain_text("finished")
    # The gateway has forgotten them, but the board has not.
    page.get_by_role("button", name="Older lines").click()
    expect(ended(page, "During the restart.")).to_contain_text("finished")
    expect(ended(page, "Before the restart.")).to_contain_text("finished")


def ended(page: Page, text: str) -> Any:
    """The row of an ended line."""
    return page.locator("#lines-list tr").filter(has_text=text)
