"""A real Chromium, broker, daemon and gateway, which the tests of this folder share.

A module has a browser of its own, because playwright runs an event loop in the thread of the tests as long as it
lives, and other tests of this process start their own. Broker, daemon and gateway live as long as the process.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import chromium
from support.gateway_site import Site, open_site
from support.page_faults import PageFaults

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_WAIT_MS = 5_000
READ_ALOUD = "The kettle is on, and the tea will be ready in a minute. Who would like a cup?"


@pytest.fixture(scope="session")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A broker, two appliances whose engine hums, and a gateway that shows both."""
    with open_site(tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """The same for one test. At its end nothing is said any more."""
    shared_site.client.forget()
    yield shared_site
    shared_site.silence()


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the microphone of each page hears: somebody who reads aloud."""
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    subprocess.run(["espeak-ng", "-s", "150", "-w", path, READ_ALOUD], check=True)
    return path


@pytest.fixture(scope="module")
def browser(microphone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium. At its end, it must not have tried to reach another machine."""
    if reason := chromium.missing():
        pytest.skip(f"no browser: {reason}")
    from playwright.sync_api import sync_playwright

    net_log = tmp_path_factory.mktemp("chromium") / "net.json"
    with sync_playwright() as playwright:
        started = chromium.launch(playwright, microphone, net_log)
        yield started
        started.close()
    assert not chromium.foreign_connections(net_log)


@pytest.fixture
def faults() -> PageFaults:
    """What goes wrong on the pages of a test."""
    return PageFaults()


@pytest.fixture
def open_page(browser: Browser, faults: PageFaults, site: Site) -> Iterator[Callable[..., Page]]:
    """`open_page(path="/", url=None, **context)`: a page in a profile of its own. It must end without a fault.

    `url` is that of another gateway. `context` goes to playwright: `viewport`, `color_scheme`, `permissions`.
    """
    contexts = []

    def open_one(path: str = "/", url: str | None = None, **context: Any) -> Page:
        contexts.append(browser.new_context(**context))
        contexts[-1].set_default_timeout(_WAIT_MS)
        page = contexts[-1].new_page()
        faults.watch(page)
        page.goto(f"{url or site.gateway.url}{path}")
        return page

    yield open_one
    for opened in contexts:
        opened.close()
    assert not faults.found


@pytest.fixture
def expect(browser: Browser) -> Any:
    """Playwright's assertions, which wait."""
    from playwright.sync_api import expect

    expect.set_options(timeout=_WAIT_MS)
    return expect
