"""The Wyoming server with a real daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from wyoming.tts import Synthesize, SynthesizeVoice

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.gateway_waiting import until
from support.wyoming_site import WyomingSite, run_site

SOUND_S = 0.3


def test_a_daemon_speaks_for_wyoming_and_stays_silent_itself(tmp_path: Path) -> None:
    for name in ("broker", "appliance"):
        (tmp_path / name).mkdir()

    async def scenario(site: WyomingSite) -> None:
        record = site.client.directory.records["test"]
        heard = await site.synthesize("The tea is ready.", SynthesizeVoice(language="en"))
        assert (len(heard.sound), heard.rates_hz) == (SOUND_S * 48_000, {24_000})
        assert np.abs(np.frombuffer(heard.sound, "<i2")).max() > 500
        heard = await site.stream(["The tea is ", "ready. Come to the table. Si", "t down."])
        assert [len(sound) for sound in heard.sounds] == [SOUND_S * 48_000] * 3
        heard = await site.stream(["... ", "!!!"])
        assert (heard.sounds, heard.error) == ([b""], None)  # the daemon says that nothing is left to speak
        heard = await site.synthesize("Hello.", SynthesizeVoice(name="nobody"))
        assert heard.error is not None
        assert "no appliance has this voice" in heard.error
        for heard in await asyncio.gather(*(site.synthesize(f"Text number {number}.") for number in range(20))):
            assert (heard.error, len(heard.sound)) == (None, SOUND_S * 48_000)
        async with site.connect() as client:
            await client.write_event(Synthesize("This is an endless text. " * 20).event())
            assert (await client.read_event()) is not None
        await until(lambda: (record.telemetry or {})["renders"]["cancelled"] == 1, "the cancelled render")
        assert not record.lines.recent(1)  # a render is no line

    with (
        Broker(tmp_path / "broker") as broker,
        Client(broker.host, broker.port) as client,
        Appliance(tmp_path / "appliance", broker, quick_s=SOUND_S) as appliance,
    ):
        appliance.wait_ready(client)
        run_site(broker, "ishowtts", scenario)
