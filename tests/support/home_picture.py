"""Takes a picture of the appliance's page in Home Assistant: docs/home-assistant.png.

`PYTHONPATH=daemon:tests .venv/bin/python -m support.home_picture docs/home-assistant.png`. It needs
`scripts/setup home-assistant` and the package chromium.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from support.appliance import Appliance
from support.broker import Broker
from support.browser import Browser
from support.client import Client
from support.home_assistant import HomeAssistant
from support.waiting import eventually

_WIDTH, _HEIGHT = 1280, 1160
_FIRST, _SECOND = "The tea is ready.", "The washing is done, and somebody is at the door."


class _Kitchen(Appliance):
    root = "ishowtts/kitchen"


def main() -> int:
    """Returns the exit status."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ishowtts-picture-")))
        for name in ("broker", "home", "appliance"):
            (folder / name).mkdir()
        broker = stack.enter_context(Broker(folder / "broker"))
        home = stack.enter_context(HomeAssistant(folder / "home"))
        home.add_mqtt(broker)
        settings = {"device": {"name": "kitchen"}, "board": {"source": "simulated"}, "telemetry": {"interval_s": 5}}
        appliance = stack.enter_context(_Kitchen(folder / "appliance", broker, settings))
        client = stack.enter_context(Client(broker.host, broker.port))
        appliance.wait_ready(client)
        eventually(lambda: "notify.ishowtts_kitchen" in home.states(), "the device")
        home.call("notify.send_message", "notify.ishowtts_kitchen", message=_FIRST)
        client.wait_for(f"{appliance.root}/event", lambda m: m.json["event"] == "finished")
        home.call("number.set_value", "number.ishowtts_kitchen_volume", value=60)
        eventually(lambda: home.state("sensor.ishowtts_kitchen_real_time_factor")["state"] != "unknown", "a reading")
        (device,) = home.devices()
        expires_ms = (time.time() + 1800) * 1000
        tokens = {**home.tokens, "hassUrl": home.url, "clientId": f"{home.url}/", "expires": expires_ms}
        script = f"""
            localStorage.setItem('hassTokens', {json.dumps(json.dumps(tokens))});
            localStorage.setItem('dockedSidebar', '"always_hidden"');
        """
        browser = stack.enter_context(Browser(_WIDTH, _HEIGHT))
        browser.open(f"{home.url}/config/devices/device/{device['id']}", script, "Too hot")
        time.sleep(2)  # its animations
        home.call("notify.send_message", "notify.ishowtts_kitchen", message=_SECOND)
        eventually(lambda: browser.text().count(_SECOND) == 2, "the line")
        time.sleep(0.5)
        Path(sys.argv[1]).write_bytes(browser.picture())
    return 0


if __name__ == "__main__":
    sys.exit(main())
