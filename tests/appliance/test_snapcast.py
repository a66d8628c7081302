"""The daemon speaks into Snapcast: Debian's snapserver reads its pipe, and a snapclient writes what would be heard."""

from __future__ import annotations

from pathlib import Path

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.quick_daemon import code, height
from support.snapcast import RATE_HZ, Snapcast
from support.waiting import eventually

LINE_S = 0.5


def test_snapcast_plays_each_line_and_a_line_waits_for_a_server_that_is_away(
    tmp_path: Path, broker: Broker, mqtt_client: Client
) -> None:
    (tmp_path / "snapcast").mkdir()
    with Snapcast(tmp_path / "snapcast") as snapcast:
        device = f"pipe:{snapcast.pipe}"
        audio = {"device": device, "release_s": 0.1}
        with Appliance(tmp_path, broker, {"audio": audio}, quick_s=LINE_S, quick=["--aloud"]) as appliance:
            appliance.wait_ready(mqtt_client)
            eventually(lambda: len(snapcast.heard), "the client's connection")
            for number in (5012, 9012):
                final = appliance.final(mqtt_client, appliance.say(mqtt_client, f"This is {code(number)}."))
                assert (final["event"], final["audible"], final["device"]) == ("finished", True, device)
                eventually(lambda number=number: is_whole(snapcast, number), f"the sound of {number}")

            endless = appliance.say(mqtt_client, f"This is endless {code(20_134)}.")
            eventually(lambda: frames_of(snapcast, 20_134), "the long line")
            snapcast.kill_server()
            lost = mqtt_client.wait_for(
                f"{appliance.root}/state", lambda message: "nobody reads the pipe" in (message.json["detail"] or "")
            )
            assert lost.json["state"] == "degraded"
            appliance.say(mqtt_client, f"This is {code(13_012)}.", id="later")
            before = frames_of(snapcast, 20_134)
            snapcast.start_server()
            eventually(lambda: frames_of(snapcast, 20_134) > before, "the long line again")
            mqtt_client.publish(f"{appliance.root}/command", "skip")
            assert appliance.final(mqtt_client, endless)["event"] == "cancelled"
            assert appliance.final(mqtt_client, "later")["event"] == "finished"
            eventually(lambda: is_whole(snapcast, 13_012), "the line that waited")


def frames_of(snapcast: Snapcast, number: int) -> int:
    """How many frames of a line were heard, on both channels."""
    heard, level = snapcast.heard, height(code(number))
    return int(((heard >= level - 2) & (heard <= level + 2)).all(axis=1).sum())


def is_whole(snapcast: Snapcast, number: int) -> bool:
    """Whether a line was heard once and in full, but for what a busy snapclient leaves out to stay in time."""
    return 0.8 * LINE_S < frames_of(snapcast, number) / RATE_HZ <= LINE_S
