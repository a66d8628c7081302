"""Controls the daemon of the demo as any other program does, over MQTT, and prints what it answers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from ishowtts import config
from ishowtts.cli.say import sentence
from ishowtts.errors import IShowError
from ishowtts.model import FINAL_EVENTS, Outcome
from ishowtts.mqtt.client import Message, ShortLivedClient
from ishowtts.mqtt.mqtt_options import MqttOptions

FIRST = {"accepted", "rejected", "merged", "duplicate"}
"""The first event of a line is one of these."""
VOICES = {
    "f5": "F5-TTS, which clones the voices of the library",
    "hibari": "the natural voice (hibari), which speaks English; espeak-ng speaks other languages",
    "espeak": "espeak-ng, which sounds like a robot",
}
READY_S = 300.0
LINE_S = 600.0


class Appliance:
    """Controls the daemon as a publisher does, only over MQTT."""

    def __init__(self, client: ShortLivedClient, root: str, process: subprocess.Popen[bytes]) -> None:
        self._client = client
        self._root = root
        self._process = process
        self._line_ids: set[str] = set()
        self._awaits_id = False
        client.subscribe(f"{root}/#")

    def wait_until_ready(self) -> None:
        """Waits until the daemon is ready, or reports why it cannot be."""
        shown = None
        for message in self._watch(READY_S):
            state = message.data() if message.topic == f"{self._root}/state" else None
            if isinstance(state, dict):
                loading = state["state"] in ("starting", "warming")
                if state["state"] != shown:
                    shown = state["state"]
                    detail = f": {state['detail']}" if state["detail"] and not loading else ""
                    show(f"state: {shown} ({state['engine']}){detail}")
                if not loading:
                    show(f"voice: {VOICES.get(state['engine'], state['engine'])}")
                    return
        raise SystemExit(f"the daemon is not ready after {READY_S:.0f} s")

    def published(self, line_id: Any) -> bool:
        """Whether a line with this id is, or may be, one that `speak` has published."""
        return self._awaits_id or line_id in self._line_ids

    def speak(self, text: str) -> bool:
        """Publishes one line, prints its events, and returns whether it was finished."""
        topic = f"{self._root}/say"
        payload, line_id = payload_of(text)
        self._awaits_id = line_id is None
        if line_id is not None:
            self._line_ids.add(line_id)
        show(f"publish: {topic} {payload}")
        self._client.publish(topic, payload)
        for message in self._watch(LINE_S):
            event = message.data() if message.topic == f"{self._root}/event" else None
            if not isinstance(event, dict):
                continue
            if line_id is None and event.get("event") in FIRST:
                line_id = event["id"]  # this broker is private: the next new line is ours
                self._line_ids.add(line_id)
                self._awaits_id = False
            if line_id is None or event.get("id") != line_id:
                continue
            if event["event"] in FINAL_EVENTS:
                show(f"event: {sentence(event)}")
                return bool(event["event"] == Outcome.FINISHED.value)
            show(f"event: {event['event']}")
        show(f"no final event came within {LINE_S:.0f} s")
        return False

    def show_telemetry(self) -> None:
        """Prints the next telemetry snapshot in one line."""
        for message in self._watch(15):
            snapshot = message.data() if message.topic == f"{self._root}/telemetry" else None
            if isinstance(snapshot, dict) and snapshot["speech"]["lines_total"]:
                show(f"telemetry: {', '.join(readings(snapshot))}")
                return
        show("no telemetry came within 15 s")

    def _watch(self, timeout_s: float) -> Iterator[Message]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise IShowError(f"the daemon ended with status {self._process.returncode}; its log follows")
            yield from self._client.messages(0.5)


def readings(snapshot: dict[str, Any]) -> Iterator[str]:
    """The readings that this machine has, each with its name."""
    gpu, speech, memory = snapshot["gpu"], snapshot["speech"], snapshot["memory"]
    named = (
        ("lines", speech["lines_total"], ""),
        ("RTF", speech["rtf"], ""),
        ("GPU clock", gpu["clock_mhz"], " MHz"),
        ("GPU temperature", gpu["temp_c"], " °C"),
        ("memory of the daemon", memory["process_mb"], " MB"),
    )
    return (f"{name} {value}{unit}" for name, value, unit in named if value is not None)


def payload_of(text: str) -> tuple[str, str | None]:
    """The payload for what was typed, and the id of the line; `None` if the appliance chooses or reads it."""
    if text.lstrip().startswith("{"):
        return text.strip(), None
    line_id = uuid.uuid4().hex[:8]
    return json.dumps({"id": line_id, "text": text}, ensure_ascii=False), line_id


@contextlib.contextmanager
def other_lines_shown(settings: config.Config, root: str, appliance: Appliance) -> Iterator[None]:
    """Prints the final events of lines that other programs publish."""
    done = threading.Event()

    def watch(client: ShortLivedClient) -> None:
        while not done.is_set():
            for message in client.messages(0.5):
                event = message.data()
                if (
                    isinstance(event, dict)
                    and event.get("event") in FINAL_EVENTS
                    and not appliance.published(event.get("id"))
                ):
                    show(f"event of another line: {sentence(event)}")

    with ShortLivedClient(MqttOptions.from_config(settings, root)) as client:
        client.subscribe(f"{root}/event")
        thread = threading.Thread(target=watch, args=[client], name="other-lines")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def show(message: str) -> None:
    """Prints a message of the demo, marked as such."""
    print(f"demo | {message}", flush=True)
