"""Parts that the tests of several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ishowtts.mqtt.client import ShortLivedClient
from support.broker import Broker
from support.fake_appliance import FakeAppliance
from support.payload_check import request_fault


@pytest.fixture(autouse=True)
def valid_requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command publishes in this process must be allowed by docs/schemas."""
    publish, faults = ShortLivedClient.publish, []

    def checked(self: ShortLivedClient, topic: str, payload: str | dict[str, Any], **named: Any) -> bool:
        removes = payload == "" and named.get("retain") is True  # a retained value; no request is retained
        if not removes and (found := request_fault(topic, payload)) is not None:
            faults.append(f"{topic} {payload}: {found}")
        return publish(self, topic, payload, **named)

    monkeypatch.setattr(ShortLivedClient, "publish", checked)
    yield
    assert not faults


@pytest.fixture
def fake(broker: Broker, tmp_path: Path) -> Iterator[FakeAppliance]:
    with ExitStack() as stack:
        yield FakeAppliance(broker, tmp_path, stack)
