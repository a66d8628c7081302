"""A voice is recorded in the page or uploaded, and then it is there: it can be tried and removed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile

from support.gateway_site import Site
from support.page_faults import PageFaults

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("chromium")

WORDS = "The kettle is on, and the tea will be ready in a minute."


def test_a_voice_is_recorded_tried_and_removed(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/kitchen", permissions=["microphone"])
    voices = page.get_by_role("region", name="Voices")
    voices.get_by_text("Add a voice").click()
    voices.get_by_role("button", name="Record").click()
    expect(voices.locator(".recording")).to_contain_text(re.compile(r"^ ?[3-9]\.\d of 12 s"))
    assert float(voices.locator("meter").evaluate("meter => meter.value")) >= 0
    voices.get_by_role("button", name="Stop").click()
    expect(voices.get_by_text("Recorded. Listen to it, then write down its words.")).to_be_visible()
    voices.get_by_label("The words that are spoken").fill(WORDS)
    voices.get_by_label("Name of the voice").fill("anna")
    voices.get_by_role("button", name="Add the voice").click()
    # The browser asks for the tick, and sends nothing.
    assert voices.get_by_label("The speaker agreed").evaluate("tick => tick.validity.valueMissing")
    voices.get_by_label("The speaker agreed").check()
    voices.get_by_role("button", name="Add the voice").click()
    expect(voices.get_by_role("button", name="Try anna")).to_be_visible(timeout=30_000)
    added = answer(site, "voice_add")
    assert (added["ok"], added["voice"]) == (True, "anna"), added
    expect(voices.locator(".voice-add .answer")).to_contain_text(added["detail"], ignore_case=True)
    folder = site.kitchen.folder / "state" / "uploaded-voices" / "anna"
    assert (folder / "reference.txt").read_text(encoding="utf-8").strip() == WORDS
    (clip,) = folder.glob("reference.[fw]*")
    assert 2.0 <= soundfile.info(clip).duration <= 6.0

    voices.get_by_role("button", name="Try anna").click()
    accepted = site.client.wait_for(f"{site.kitchen.root}/event", lambda m: m.json["event"] == "accepted").json
    assert (accepted["text"], accepted["voice"]) == ("This is how I sound.", "anna")
    assert site.kitchen.final(site.client, accepted["id"])["event"] == "finished"
    expect(page.locator("#say-voice option", has_text="anna")).to_have_count(1)

    voices.get_by_role("button", name="Remove anna").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    voices.get_by_role("button", name="Remove anna").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(voices.get_by_role("button", name="Try anna")).to_have_count(0)
    assert answer(site, "voice_remove")["ok"] is True
    assert not folder.exists()


def test_a_file_that_is_no_recording_is_refused_with_a_sentence(
    site: Site, open_page: Callable[..., Page], expect: Any, faults: PageFaults, tmp_path: Path
) -> None:
    faults.allow("502.*/voices/noise$|502.*/voices/noise.$")
    page = open_page("/#/kitchen")
    file = tmp_path / "song.mp3"
    file.write_bytes(b"This is not a recording. " * 100)
    voices = page.get_by_role("region", name="Voices")
    voices.get_by_text("Add a voice").click()
    voices.get_by_label("Or choose a file").set_input_files(file)
    voices.get_by_label("The words that are spoken").fill(WORDS)
    voices.get_by_label("Name of the voice").fill("noise")
    voices.get_by_label("The speaker agreed").check()
    voices.get_by_role("button", name="Add the voice").click()
    refused = answer(site, "voice_add")
    assert refused["ok"] is False
    expect(voices.locator(".voice-add .answer")).to_contain_text(refused["detail"], ignore_case=True)
    # Nothing that was typed is lost.
    expect(voices.get_by_label("Name of the voice")).to_have_value("noise")


def test_the_page_says_why_it_cannot_record_or_add(site: Site, open_page: Callable[..., Page], expect: Any) -> None:
    page = open_page("/#/kitchen")
    voices = page.get_by_role("region", name="Voices")
    voices.get_by_text("Add a voice").click()
    voices.get_by_role("button", name="Record").click()
    expect(voices.locator(".voice-add .answer")).to_contain_text("does not allow this page to use the microphone")
    page.get_by_role("navigation", name="Boards").get_by_role("link", name="attic").click()
    expect(voices).to_contain_text("set engine.f5.voices_over_mqtt: true")
    expect(voices.get_by_text("Add a voice")).to_be_hidden()


def answer(site: Site, command: str) -> dict[str, Any]:
    """The answer of the kitchen to an upload or a removal."""
    found: dict[str, Any] = site.client.wait_for(
        f"{site.kitchen.root}/event", lambda message: message.json.get("command") == command, timeout_s=60
    ).json
    return found
