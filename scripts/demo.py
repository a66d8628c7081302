"""Runs the whole appliance on one machine: a private broker, the daemon and its page. Speaks what is typed.

`scripts/demo` sets up the machine and runs this.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo_arguments
import soundfile
import yaml
from demo_appliance import Appliance, other_lines_shown, show

from ishowtts import config
from ishowtts.config.gateway_section import split_listen
from ishowtts.engines.weights import examine
from ishowtts.errors import IShowError
from ishowtts.mqtt.client import ShortLivedClient
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.playback.build_player import choose_speaker
from ishowtts.util import child_process

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE_PORT = 8770
PAGE_S = 10.0
DEFAULT_TEXT = "Hello. This line came over MQTT, and I am the voice that says it."
_ENDING = (signal.SIGHUP, signal.SIGTERM)


def main() -> int:
    """Returns the exit status: 0 if every line was finished."""
    arguments = demo_arguments.parse()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ishowtts-demo-")))
        port = stack.enter_context(broker(folder))
        wav = arguments.wav or free_name(Path("ishowtts-demo.wav"))
        settings_file = configure(arguments, folder, port, wav)
        stack.callback(show_sound, settings_file)  # after the end of the daemon, which completes the file
        process = stack.enter_context(program("run", settings_file, folder / "daemon.log"))
        page = None
        if arguments.text is None:  # with a text, the demo ends before anybody can look
            page = stack.enter_context(program("gateway", settings_file, folder / "gateway.log"))
        try:
            return run_lines(arguments, settings_file, process, page)
        except IShowError as error:
            show(f"error: {error}")
            return 1


def free_name(path: Path) -> Path:
    """Returns the path, or one with a number if that file exists: nobody asked to replace it."""
    names = (path.with_name(f"{path.stem}-{number}.wav") for number in itertools.count(2))
    return path if not path.exists() else next(name for name in names if not name.exists())


def configure(arguments: argparse.Namespace, folder: Path, port: int, wav: Path) -> Path:
    """Writes the configuration of this run; returns its path."""
    chosen = choose_speaker("auto")
    audible = not arguments.wav and chosen.speaker.name != "auto"
    device = "auto" if audible else f"wav:{wav.resolve()}"
    if arguments.wav:
        show(f"sound: into {wav}, as --wav asks" + (", in place of the file that is there" if wav.exists() else ""))
    elif audible:
        show(f"sound: {chosen.speaker.name} ({chosen.why})")
    else:
        show(f"sound: into {wav}, because this machine has no sound card with something attached")
    engine: dict[str, Any] = {"kind": arguments.engine}
    if arguments.model:
        engine = {"kind": "f5", "f5": {"weights": str(weights(arguments.model))}}
    settings = {
        "device": {"name": "demo"},
        "mqtt": {"host": "127.0.0.1", "port": port},
        "engine": engine,
        "audio": {"device": device, "volume": 80 if audible else 100},  # the volume of a file cannot be turned up later
        "telemetry": {"interval_s": 1},
        "gateway": {"http": {"listen": f"127.0.0.1:{free_port(PAGE_PORT)}"}},
        "state_dir": str(folder / "state"),
        "cache_dir": str(folder / "cache"),
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return path


def weights(model: str) -> Path:
    """Returns the checkpoint folder. Makes the tiny one once, in the build folder."""
    if model != "tiny":
        try:
            examine(Path(model).resolve(), "name another folder with --model")
        except IShowError as error:
            raise SystemExit(f"scripts/demo: {error}") from error
        return Path(model).resolve()
    folder = CHECKOUT / "build" / "tiny"
    if not (folder / "model.yaml").exists():
        show("model: making a tiny random checkpoint (only the first time)")
        made = subprocess.run(
            [sys.executable, str(CHECKOUT / "scripts" / "make-checkpoint"), str(folder), "--size", "tiny"], check=False
        )
        if made.returncode != 0:
            raise SystemExit("the tiny checkpoint could not be made; see the error above")
    show("model: tiny, with random weights: it hums instead of speaking, because it is not trained")
    return folder


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Starts a private mosquitto on a free loopback port; yields the port."""
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed: apt-get install mosquitto")
    port = free_port()
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n", encoding="utf-8")
    process = subprocess.Popen([program, "-c", str(settings)], stdin=subprocess.DEVNULL)
    try:
        if not listens(port, process):
            raise SystemExit(f"mosquitto does not listen on port {port}")
        show(f"broker: mosquitto on 127.0.0.1:{port}")
        yield port
    finally:
        stop(process)


def free_port(wanted: int = 0) -> int:
    """Returns this port of the loopback address if it is free, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise SystemExit("no port of 127.0.0.1 is free")


def listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Waits until a program listens; returns whether it does."""
    deadline = time.monotonic() + PAGE_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.02)
    return False


@contextlib.contextmanager
def program(command: str, settings_file: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts `ishowtts run` or `ishowtts gateway`; prints its log if it ends by itself."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            child_process.command("ishowtts", command, "--config", str(settings_file)),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        failed = process.poll() is not None
        stop(process)
        if failed:
            sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stops a process with SIGTERM, and after 20 s with SIGKILL."""
    process.send_signal(signal.SIGTERM)  # has no effect if the process has ended
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def show_page(settings: config.Config, gateway: subprocess.Popen[bytes]) -> None:
    """Prints the address of the page once the gateway serves it."""
    listen = settings.gateway.http.listen
    if listens(split_listen(listen)[1], gateway):
        show(f"page: http://{listen}/ shows all of this in a browser")
    else:
        show("page: none, because the gateway did not start; its log comes at the end")


def show_how_to_go_on(root: str, port: int, settings_file: Path) -> None:
    """Prints commands for another terminal."""
    program = Path(sys.executable).with_name("ishowtts")
    show("from another terminal, while this runs:")
    show(f"  mosquitto_pub -p {port} -t {root}/say -q 1 -m 'A line from elsewhere.'")
    show(f"  mosquitto_sub -p {port} -t '{root}/event'")
    show(f"  {program} say 'A line from elsewhere.' --config {settings_file}")
    show(f"  {program} top --config {settings_file}")
    show(f"  {program} doctor --config {settings_file}")


def run_lines(
    arguments: argparse.Namespace,
    settings_file: Path,
    process: subprocess.Popen[bytes],
    gateway: subprocess.Popen[bytes] | None,
) -> int:
    """Speaks the line. Without a text, then speaks each line from the keyboard. Returns the exit status."""
    settings = config.load(settings_file)
    root = settings.root_topic()
    with ShortLivedClient(MqttOptions.from_config(settings, root)) as client:
        appliance = Appliance(client, root, process)
        appliance.wait_until_ready()
        finished = appliance.speak(arguments.text or DEFAULT_TEXT)
        appliance.show_telemetry()
        if gateway is not None:
            show_how_to_go_on(root, settings.mqtt.port, settings_file)
            show_page(settings, gateway)
            with other_lines_shown(settings, root, appliance):
                finished = speak_keyboard(appliance) and finished
    return 0 if finished else 1


def speak_keyboard(appliance: Appliance) -> bool:
    """Speaks lines from the keyboard until end of file; returns whether all were finished."""
    show("type a line and press Enter; Ctrl-D ends")
    finished = True
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            if line.strip():
                finished = appliance.speak(line.strip()) and finished
    return finished


def show_sound(settings_file: Path) -> None:
    """Prints the file of the sound and its length. Removes a file without sound."""
    device = str(yaml.safe_load(settings_file.read_text(encoding="utf-8"))["audio"]["device"])
    wav = Path(device.removeprefix("wav:"))
    if device.startswith("wav:") and wav.exists():
        info = soundfile.info(str(wav))
        if info.frames == 0:
            wav.unlink()
            show(f"sound: none, so there is no {wav}")
            return
        show(f"sound: {info.duration:.2f} s at {info.samplerate} Hz in {wav}")


def end_on_signals() -> None:
    """Ends the demo, with all that it started, if its terminal is closed or if somebody ends it."""

    def end(number: int, _frame: object) -> None:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)  # the programs are stopped already
        raise SystemExit(128 + number)

    for each in _ENDING:
        signal.signal(each, end)


if __name__ == "__main__":
    end_on_signals()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
