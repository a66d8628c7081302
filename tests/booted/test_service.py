"""The installed service, as its users and its operator meet it."""

from __future__ import annotations

import numpy as np
import pytest

from support.booted.installing import history, publish, say, sound
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]


def test_a_line_of_a_user_is_heard(appliance: BootedMachine) -> None:
    assert say(appliance, "The kettle is on.")["event"] == "finished"
    publish(appliance, "say", '{"text": "And the tea will be ready soon.", "id": "tea"}')
    appliance.wait_until(lambda: len(history(appliance)) == 2, "the second line")
    appliance.run("systemctl", "stop", "ishowtts")
    heard = sound(appliance)
    assert len(heard) > 24_000
    assert np.abs(heard).max() > 1000
