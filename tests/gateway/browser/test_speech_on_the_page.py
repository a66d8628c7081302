"""What is said is on the page while it is said, and what is typed on the page is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from support.gateway_site import Site
from support.quick_daemon import code, height, read_notes
from support.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("chromium")


def test_a_line_is_shown_while_it_is_spoken_and_then_in_the_list(
    site: Site, open_page: Callable[..., Page], expect: Any
) -> None:
    page = open_page("/#/kitchen")
    text = "An endless line about the tea."
    site.kitchen.say(site.client, text, author="Ann")
    expect(page.locator("#now")).to_contain_text(text)
    expect(page.locator("#now")).to_contain_text("Ann")
    # It moves: 5 % of 60 s.
    expect(page.get_by_role("progressbar", name="Progress of the line")).to_have_attribute(
        "aria-valuenow", re.compile("^[1-9]")
    )
    site.kitchen.say(site.client, "The next line waits.")
    expect(page.locator("#queue")).to_contain_text("The next line waits.")
    page.get_by_role("button", name="Skip").click()
    expect(row(page, text)).to_contain_text("cancelled")
    expect(row(page, "The next line waits.")).to_contain_text("finished")
    expect(page.locator("#queue")).to_contain_text("No line waits.")


def test_a_line_said_on_the_page_is_heard(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/kitchen")
    text = f"This is the line {code(4711)} from the page."
    page.get_by_label("Text of the line").fill(text)
    page.get_by_label("Urgent").check()
    page.get_by_role("button", name="Say it").click()
    expect(page.locator("#say-answer")).to_contain_text("Accepted")
    eventually(lambda: any(note.get("peak") == height(text) for note in read_notes(site.kitchen.notes)), "the sound")
    expect(row(page, text)).to_contain_text("finished")
    expect(page.get_by_label("Text of the line")).to_have_value("")


def test_two_boards_are_shown_side_by_side(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/kitchen")
    boards = page.get_by_role("navigation", name="Boards")
    expect(boards.get_by_role("link")).to_have_count(2)
    text = "An endless line in the attic."
    site.attic.say(site.client, text)
    expect(boards.get_by_role("link", name="attic")).to_contain_text(text)
    expect(page.locator("#now")).not_to_contain_text(text)
    boards.get_by_role("link", name="attic").click()
    expect(page.locator("#now")).to_contain_text(text)
    page.get_by_role("button", name="Stop").click()
    expect(row(page, text)).to_contain_text("cancelled")
    assert page.url.endswith("#/attic")


def test_controls_reach_the_board_and_show_what_it_answers(
    site: Site, open_page: Callable[..., Page], expect: Any
) -> None:
    page = open_page("/#/kitchen")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#state")).to_contain_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#state")).not_to_contain_text("Paused")
    page.get_by_role("button", name="Mute").click()
    expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    site.client.wait_for(f"{site.kitchen.root}/muted", lambda message: message.text == "true")
    page.get_by_role("button", name="Unmute").click()
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    page.get_by_label("Volume").fill("40")
    expect(page.locator("#controls-answer")).to_contain_text("40")
    page.get_by_label("Volume").fill("100")
    site.client.wait_for(f"{site.kitchen.root}/volume", lambda message: message.text == "40")
    expect(page.locator("#controls-answer")).to_contain_text("100")


def test_a_line_and_all_lines_of_an_author_are_cancelled(
    site: Site, open_page: Callable[..., Page], expect: Any
) -> None:
    page = open_page("/#/kitchen")
    site.kitchen.say(site.client, "An endless line of Bob.", author="Bob")
    for text in ("One of Eve.", "Two of Eve.", "Three of Bob."):
        site.kitchen.say(site.client, text, author=text.split()[2].rstrip("."))
    queue = page.locator("#queue-list").get_by_role("listitem")
    expect(queue).to_have_count(3)
    queue.filter(has_text="Three of Bob.").get_by_role("button", name="Cancel this line").click()
    expect(row(page, "Three of Bob.")).to_contain_text("cancelled")
    queue.filter(has_text="One of Eve.").get_by_role("button", name="Eve").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel all lines of this author").click()
    expect(queue).to_have_count(0)
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.locator("#now")).to_contain_text("An endless line of Bob.")
    page.get_by_role("button", name="Skip").click()
    expect(row(page, "An endless line of Bob.")).to_contain_text("cancelled")


def row(page: Page, text: str) -> Any:
    """The row of a line in the table of ended lines."""
    return page.locator("#lines-list tr").filter(has_text=text)
