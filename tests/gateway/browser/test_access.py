"""Who may do what on the page: the token opens it, and what the gateway's user may not do is not offered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.broker import ShippedBroker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.gateway_site import Kitchen, Site
from support.page_faults import PageFaults

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("chromium")

TOKEN = "correct-horse-battery-staple-0123456789"


def test_the_page_asks_for_the_token(
    site: Site, open_page: Callable[..., Page], expect: Any, faults: PageFaults, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    with GatewayProcess(tmp_path, site.client.address, {"http": {"token_file": str(file)}}) as gateway:
        page = open_page("/", gateway.url)
        expect(page.get_by_role("heading", name="iShowTTS")).to_be_visible()
        assert page.url == f"{gateway.url}/login"
        faults.allow("401.*/api/session")
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).not_to_be_empty()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#link-text")).to_have_text("Live")
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert TOKEN not in cookie["value"]
        assert page.evaluate("document.cookie") == ""
        page.reload()
        expect(page.locator("#link-text")).to_have_text("Live")
        page.close()  # its stream ends before the gateway


def test_an_observer_is_not_offered_what_it_may_not_do(
    open_page: Callable[..., Page], expect: Any, tmp_path: Path
) -> None:
    for name in ("broker", "kitchen", "gateway"):
        (tmp_path / name).mkdir()
    users = {"ishowtts": "one", "observer": "two"}
    for name, password in users.items():
        (tmp_path / name).write_text(password)
        (tmp_path / name).chmod(0o600)
    own = {"username": "observer", "password_file": str(tmp_path / "observer")}
    with ShippedBroker(tmp_path / "broker", users) as broker:
        address = (broker.host, broker.port)
        mqtt = {"host": broker.host, "port": broker.port, "username": "ishowtts"}
        mqtt["password_file"] = str(tmp_path / "ishowtts")
        settings = {"device": {"name": "kitchen"}, "mqtt": mqtt}
        with (
            Kitchen(tmp_path / "kitchen", broker, settings, quick_s=0.3),
            GatewayProcess(tmp_path / "gateway", address, {"devices": ["kitchen"], "mqtt": own}) as gateway,
            Client(*address, username="ishowtts", password="one") as client,
        ):
            page = open_page("/", gateway.url)
            expect(page.locator("#state")).to_contain_text("Ready")
            client.publish(
                "ishowtts/kitchen/say", {"id": "1", "text": "An endless line for observers.", "author": "Ann"}
            )
            expect(page.locator("#now")).to_contain_text("An endless line for observers.")
            client.publish("ishowtts/kitchen/say", {"text": "One that waits."})
            expect(page.locator("#queue")).to_contain_text("One that waits.")
            for hidden in ("#say", "#controls", "#lines-older"):
                expect(page.locator(hidden)).to_be_hidden()
            for name in ("Cancel this line", "Skip", "Say it", "Try default", "Add a voice"):
                expect(page.get_by_role("button", name=name)).to_have_count(0)
            page.close()
