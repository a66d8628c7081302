"""A real Chromium, broker, daemon and gateway, which the tests of this folder share.

The browser ends before a test of another folder begins: playwright runs an event loop in the thread of the tests as
long as it lives, and other tests start their own. Broker, daemons and gateway live as long as the process.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import chromium
from support.gateway_site import Site, open_site
from support.page_faults import PageFaults

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_WAIT_MS = 20_000
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


class _SharedBrowser:
    """Chromium, from the first test that asks for it to the last one of this folder."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._browser: Browser | None = None
        self._net_log = Path()

    def get(self, microphone: Path, folder: Path) -> Browser:
        """Starts it, unless it runs."""
        from playwright.sync_api import sync_playwright

        if self._browser is None:
            self._net_log = folder / "net.json"
            playwright = self._stack.enter_context(sync_playwright())
            self._browser = chromium.launch(playwright, microphone, self._net_log)
            self._stack.callback(self._browser.close)
        return self._browser

    def close(self) -> None:
        """Ends it. It must not have tried to reach another machine."""
        if self._browser is not None:
            self._browser = None
            self._stack.close()
            assert not chromium.foreign_connections(self._net_log)


_shared_browser = _SharedBrowser()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """End the browser after the last test of this folder, also if the end of that test failed."""
    try:
        yield
    finally:
        if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
            _shared_browser.close()


@pytest.fixture
def browser(microphone: Path, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Chromium."""
    if reason := chromium.missing():
        pytest.skip(f"no browser: {reason}")
    return _shared_browser.get(microphone, tmp_path_factory.getbasetemp())


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
