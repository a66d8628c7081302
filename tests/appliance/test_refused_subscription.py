"""An appliance whose subscription the broker refuses says that it is deaf, and hears again once it has the right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support import broker_scripts as scripts
from support.appliance import Appliance
from support.hostile_broker import HostileBroker
from support.waiting import eventually

ROOT = Appliance.root


def retained(broker: HostileBroker, name: str) -> Any:
    """A retained value, from JSON if it is JSON."""
    message = broker.retained.get(f"{ROOT}/{name}")
    text = "null" if message is None else message.payload.decode()
    return json.loads(text) if text[:1] in "{n" else text


def test_a_refused_subscription_is_in_state_availability_and_log_until_it_is_granted(tmp_path: Path) -> None:
    # tests/mqtt/test_reachability.py has each topic, each code and both protocols.
    with HostileBroker(on_subscribe=scripts.refuse(0x80, f"{ROOT}/say")) as broker:
        mqtt = {"host": broker.host, "port": broker.port, "protocol": "3.1.1"}
        with Appliance(tmp_path, broker, {"mqtt": mqtt}, quick_s=0.1) as appliance:
            eventually(lambda: (retained(broker, "state") or {}).get("state") == "degraded", "degraded", 30)
            detail = retained(broker, "state")["detail"]
            assert f"does not let us subscribe to {ROOT}/say (" in detail
            assert "allow it in its ACL" in detail
            eventually(lambda: retained(broker, "availability") == "offline", "offline")
            assert retained(broker, "alert/deaf")["detail"] == detail
            assert retained(broker, "state")["alerts"] == ["deaf"]
            eventually(lambda: f"started, but no line can come yet: {detail}" in appliance.log, "the log", 20)
            assert "ready: lines on" not in appliance.log
            broker.on_subscribe = None
            broker.forget_sessions()  # as when it is started again with the new rights
            eventually(lambda: retained(broker, "availability") == "online", "online", 30)
            eventually(lambda: retained(broker, "state")["state"] == "ready", "ready")
            eventually(lambda: f"ready: lines on {ROOT}/say" in appliance.log, "the word ready", 20)
