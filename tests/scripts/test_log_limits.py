"""The units limit the log so that a flood of lines hides neither errors nor the logs of other services."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.config import Config

_UNITS = Path(__file__).parents[2] / "systemd"


@pytest.mark.parametrize("unit", ["ishowtts", "ishowtts-gateway"])
def test_a_full_queue_fits_into_the_limit_and_a_flood_does_not(unit: str) -> None:
    settings = dict(
        line.split("=", 1)
        for line in (_UNITS / f"{unit}.service").read_text().splitlines()
        if line.startswith(("Log", "Syslog"))
    )
    assert settings["LogRateLimitIntervalSec"] == "30"
    # journald multiplies the number by 1 to 6, by the space that its files may still take.
    assert Config().queue.max_lines <= int(settings["LogRateLimitBurst"]) < 10_000
    assert settings["SyslogLevel"] == "warning", "a crash message that a library prints is not counted with the lines"
