"""Who may do what on the page: the token opens it, and what the gateway's user may not do is not offered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.gateway_process import GatewayProcess
from support.gateway_site import Site
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
