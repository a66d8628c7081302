"""The whole appliance on one machine: a private broker, the daemon, a line published, the sound heard.

Run through `scripts/demo`, which sets the machine up first.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile
import yaml

from ishowtts import config
from ishowtts.cli.say import sentence
from ishowtts.errors import IShowError
from ishowtts.model import Outcome
from ishowtts.mqtt.client import Message, ShortLivedClient
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.playback.build_player import choose_speaker
from ishowtts.util import child_process

CHECKOUT = Path(__file__).resolve().parent.parent
DEFAULT_TEXT = "Hello. This line came over MQTT, and I am the voice that says it."
FINAL = {outcome.value for outcome in Outcome}
READY_S = 300.0
LINE_S = 600.0


def main() -> int:
    """0 where the line was finished."""
    arguments = parse()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ishowtts-demo-")))
        port = stack.enter_context(broker(folder))
        wav = arguments.wav or Path("ishowtts-demo.wav")
        settings_file = configure(arguments, folder, port, wav)
        process = stack.enter_context(daemon(settings_file, folder / "daemon.log"))
        try:
            return perform(arguments, settings_file, process)
        except IShowError as error:
            say(f"error: {error}")
            return 1
        finally:
            report_sound(settings_file)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("text", nargs="?", help="say this and end; without it, stay and read lines from the keyboard")
    parser.add_argument("--wav", type=Path, help="leave the sound in this file")
    parser.add_argument("--engine", choices=["auto", "f5", "espeak"], default="auto")
    parser.add_argument("--model", metavar="tiny|DIR", help="with f5: a random tiny checkpoint, or a checkpoint folder")
    arguments = parser.parse_args()
    if arguments.model and arguments.engine == "espeak":
        parser.error("--model goes with --engine f5")
    if arguments.wav and arguments.wav.suffix != ".wav":
        parser.error(f"--wav takes the name of a .wav file, not {arguments.wav}")
    if arguments.wav and not arguments.wav.resolve().parent.is_dir():
        parser.error(f"--wav: there is no folder {arguments.wav.resolve().parent}")
    if arguments.text is not None and not arguments.text.strip():
        parser.error("the text is empty")
    return arguments


def configure(arguments: argparse.Namespace, folder: Path, port: int, wav: Path) -> Path:
    """A configuration for this run."""
    chosen = choose_speaker("auto")
    heard = not arguments.wav and chosen.speaker.name != "auto"
    device = "auto" if heard else f"wav:{wav.resolve()}"
    if arguments.wav:
        say(f"sound: into {wav}, as --wav asks")
    elif heard:
        say(f"sound: {chosen.speaker.name} ({chosen.why})")
    else:
        say(f"sound: into {wav}, since {chosen.why}")
    engine: dict[str, Any] = {"kind": arguments.engine}
    if arguments.model:
        engine = {"kind": "f5", "f5": {"weights": str(weights(arguments.model))}}
    settings = {
        "device": {"name": "demo"},
        "mqtt": {"host": "127.0.0.1", "port": port},
        "engine": engine,
        "audio": {"device": device, "volume": 80 if heard else 100},  # a file has no knob to turn it up
        "telemetry": {"interval_s": 1},
        "state_dir": str(folder / "state"),
        "cache_dir": str(folder / "cache"),
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return path


def weights(model: str) -> Path:
    """The checkpoint folder; a tiny random one is made once and kept beside the other build results."""
    if model != "tiny":
        return Path(model).resolve()
    folder = CHECKOUT / "build" / "tiny"
    if not (folder / "model.yaml").exists():
        say("model: making a tiny random checkpoint, once")
        made = subprocess.run(
            [sys.executable, str(CHECKOUT / "scripts" / "make-checkpoint"), str(folder), "--size", "tiny"], check=False
        )
        if made.returncode != 0:
            raise SystemExit("the tiny checkpoint could not be made; the reason stands above")
    say("model: tiny, with random weights: it hums instead of speaking, since nobody has trained it")
    return folder


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A mosquitto of our own on a free loopback port."""
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed: apt-get install mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n", encoding="utf-8")
    process = subprocess.Popen([program, "-c", str(settings)], stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        say(f"broker: mosquitto on 127.0.0.1:{port}")
        yield port
    finally:
        end(process)


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the broker listens."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise SystemExit(f"mosquitto does not listen on port {port}")


@contextlib.contextmanager
def daemon(settings_file: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real daemon; its log is shown where it fails."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            child_process.command("ishowtts", "run", "--config", str(settings_file)),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        failed = process.poll() is not None
        end(process)
        if failed:
            sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL where that is not enough."""
    process.send_signal(signal.SIGTERM)  # does nothing to one that has ended
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Appliance:
    """The daemon as a publisher sees it: over MQTT alone."""

    def __init__(self, client: ShortLivedClient, root: str, process: subprocess.Popen[bytes]) -> None:
        self._client = client
        self._root = root
        self._process = process
        client.subscribe(f"{root}/#")

    def wait_until_ready(self) -> None:
        """Until the voice that was asked for is there, or cannot be."""
        for message in self._watch(READY_S):
            state = message.data() if message.topic == f"{self._root}/state" else None
            if isinstance(state, dict):
                say(
                    f"state: {state['state']} ({state['engine']})" + (f": {state['detail']}" if state["detail"] else "")
                )
                if state["state"] not in ("starting", "warming"):
                    return
        raise SystemExit(f"the daemon is not ready after {READY_S:.0f} s")

    def speak(self, text: str) -> bool:
        """Publish one line, print what happens to it, and say whether it was finished."""
        line_id = uuid.uuid4().hex[:8]
        topic = f"{self._root}/say"
        say(f"publish: {topic} {text!r}")
        self._client.publish(topic, {"id": line_id, "text": text})
        for message in self._watch(LINE_S):
            event = message.data() if message.topic == f"{self._root}/event" else None
            if not isinstance(event, dict) or event.get("id") != line_id:
                continue
            if event["event"] in FINAL:
                say(f"event: {sentence(event)}")
                return bool(event["event"] == Outcome.FINISHED.value)
            say(f"event: {event['event']}")
        say(f"no outcome came within {LINE_S:.0f} s")
        return False

    def show_telemetry(self) -> None:
        """The next snapshot, in short."""
        for message in self._watch(15):
            snapshot = message.data() if message.topic == f"{self._root}/telemetry" else None
            if isinstance(snapshot, dict) and snapshot["speech"]["lines_total"]:
                gpu, speech = snapshot["gpu"], snapshot["speech"]
                clock = "none here" if gpu["clock_mhz"] is None else f"{gpu['clock_mhz']} MHz"
                heat = "none here" if gpu["temp_c"] is None else f"{gpu['temp_c']} °C"
                say(
                    f"telemetry: RTF {speech['rtf']}, lines {speech['lines_total']}, GPU clock {clock}, "
                    f"GPU temperature {heat}, memory of the daemon {snapshot['memory']['process_mb']} MB"
                )
                return
        say("no telemetry came within 15 s")

    def _watch(self, timeout_s: float) -> Iterator[Message]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise IShowError(f"the daemon ended with status {self._process.returncode}; its log follows")
            yield from self._client.messages(0.5)


def perform(arguments: argparse.Namespace, settings_file: Path, process: subprocess.Popen[bytes]) -> int:
    """Say the line; then, without a text, one line of the keyboard after another."""
    settings = config.load(settings_file)
    root = settings.root_topic()
    with ShortLivedClient(MqttOptions.from_config(settings, root)) as client:
        appliance = Appliance(client, root, process)
        appliance.wait_until_ready()
        finished = appliance.speak(arguments.text or DEFAULT_TEXT)
        appliance.show_telemetry()
        if arguments.text is None:
            finished = converse(appliance) and finished
    return 0 if finished else 1


def converse(appliance: Appliance) -> bool:
    """Lines from the keyboard until it ends; whether all were finished."""
    say("type a line and press Enter; Ctrl-D ends")
    finished = True
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            if line.strip():
                finished = appliance.speak(line.strip()) and finished
    return finished


def report_sound(settings_file: Path) -> None:
    """Where the sound is, and how much of it."""
    device = str(yaml.safe_load(settings_file.read_text(encoding="utf-8"))["audio"]["device"])
    wav = Path(device.removeprefix("wav:"))
    if device.startswith("wav:") and wav.exists():
        info = soundfile.info(str(wav))
        say(f"sound: {info.duration:.2f} s at {info.samplerate} Hz in {wav}")


def say(sentence: str) -> None:
    """A line of the demo's own."""
    print(f"demo | {sentence}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
