"""Measures how late spoken lines become while many clients have texts rendered, and how soon a render begins.

`scripts/bench-renders` runs this. Two real daemons run side by side, each with a real broker and an engine that takes a
given time for each segment (--cost-s). One of them renders for many clients without a pause. The same lines go to both,
at the same times. Prints a table, then one line of JSON:

- `line`: from the PUBLISH of a line to its first sample at the sound device. A line may wait for one segment of a
  render, so the goal is at most --cost-s more than without renders.
- `silence`: the longest gap between two samples of one line. Renders must not make it longer.
- `begin`: from the end of the synthesis of a first segment of 2 s to its first part at the requester, without other
  load, with loudness and limiter as delivered. The goal is 50 ms.
- `first_byte`: the same to the first byte of the gateway's response on OpenAI's speech interface. The goal is 50 ms.
- `renders_per_s`, `share`: how much the flood gets done, and the smallest share of a client, where 1 is a fair one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderSound, parse_part, request_payload
from ishowtts.status.speech_figures import percentile
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.quick_daemon import code, height, read_notes
from support.served_gateway import ServedGateway
from support.waiting import eventually

GOALS = {"begin_ms_p50": 50, "first_byte_ms_p50": 50}
SEGMENT_BYTES = 60
FIRST_S = 2.0  # a first segment of F5 on a fast machine
AS_DELIVERED = {"loudness_lufs": -16.0, "peak_dbtp": -1.0}
LINE = "The first part of {0} is this. The second part of {0} follows it at once. And here ends {0}, with this."
TEXT = "Somebody else wants to hear this. It has a second segment as well. And a third one that ends it."

Figures = dict[str, Any]


def main() -> int:
    """Returns the exit status, always 0. The reader judges whether the goals are met."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench-renders", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=30, help="lines for each daemon (30)")
    parser.add_argument("--clients", type=int, default=8, help="clients that have texts rendered (8)")
    parser.add_argument("--each", type=int, default=3, help="renders that each of them keeps open (3)")
    parser.add_argument("--cost-s", type=float, default=0.3, help="seconds that the engine takes for a segment (0.3)")
    parser.add_argument("--sound-s", type=float, default=0.8, help="seconds that a segment sounds (0.8)")
    parser.add_argument("--begins", type=int, default=20, help="renders for the time of the first part (20)")
    parser.add_argument("--dir", type=Path, help="folder for the daemons; default: a temporary folder")
    arguments = parser.parse_args()
    if arguments.dir is not None:
        arguments.dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ishowtts-bench-", dir=arguments.dir) as name:
        figures = measure(Path(name), arguments)
    for key, value in flatten(figures):
        print(f"{key:40} {value}")
    print(json.dumps({**figures, "goals": GOALS}))
    return 0


def measure(folder: Path, arguments: argparse.Namespace) -> Figures:
    """Measures the beginnings of renders first, since the flood does not end before its daemon."""
    quick = ["--segment-bytes", str(SEGMENT_BYTES), "--cost-s", str(arguments.cost_s)]
    with ExitStack() as stack:
        with board(folder / "begin", quick, FIRST_S, AS_DELIVERED) as first:
            begin = {each.value: begins(first, each, arguments.begins, arguments.cost_s) for each in SoundFormat}
            first_byte = first_bytes(first, arguments.begins, arguments.cost_s)
        alone, busy = (
            stack.enter_context(board(folder / kind, quick, arguments.sound_s)) for kind in ("alone", "busy")
        )
        flood = Flood(busy, arguments.clients, arguments.each)
        began_s = time.monotonic()
        flood.start()
        try:
            eventually(lambda: flood.ended, "the first render")
            sent = say_to_both((alone, busy), arguments.lines, arguments.cost_s)
        finally:
            flood.close()
        shares, took_s = flood.shares(), time.monotonic() - began_s
        return {
            "cost_s": arguments.cost_s,
            "begin_ms": begin,
            "first_byte_ms": first_byte,
            "without_renders": heard(alone, sent[0]),
            "with_renders": heard(busy, sent[1]),
            "renders_per_s": round(sum(shares) / took_s, 2),
            "share": round(min(shares) * len(shares) / max(1, sum(shares)), 2),
        }


@dataclass(frozen=True)
class Board:
    """A daemon, and a client of its broker."""

    daemon: Appliance
    client: Client


@contextmanager
def board(folder: Path, quick: Sequence[str], sound_s: float, audio: dict[str, Any] | None = None) -> Iterator[Board]:
    """Starts a broker and a daemon; yields them when the daemon is ready."""
    settings = {"limits": {"renders": 1000}, "audio": audio or {}}
    (folder / "broker").mkdir(parents=True)
    with (
        Broker(folder / "broker", extra=("max_queued_messages 100000",)) as broker,
        Client(broker.host, broker.port) as client,
        Appliance(folder, broker, settings, quick_s=sound_s, quick=quick) as daemon,
    ):
        daemon.wait_ready(client)
        yield Board(daemon, client)


class Flood(threading.Thread):
    """Keeps `each` renders open for every client, with a response topic of its own for each, until it is closed."""

    def __init__(self, board: Board, clients: int, each: int) -> None:
        super().__init__(name="flood")
        self.ended: Counter[str] = Counter()
        self._board = board
        self._topics = [f"ishowtts/reply/flood-{number}" for number in range(clients)]
        self._each = each
        self._closing = threading.Event()

    def run(self) -> None:
        """Ask for the next render of a client whenever one has ended."""
        host, port = self._board.client.address
        with Client(host, port) as client:
            for topic in self._topics:
                client.subscribe(topic)
                for _ in range(self._each):
                    ask(client, self._board.daemon.root, topic)
            while not self._closing.wait(0.01):
                messages, client.messages = client.messages, []
                for message in messages:
                    part = parse_part(message.payload, message.user)
                    if isinstance(part, RenderError):
                        raise RuntimeError(f"a render ended with {part.reason}: {part.detail}")
                    if isinstance(part, RenderEnd):
                        self.ended[message.topic] += 1
                        ask(client, self._board.daemon.root, message.topic)

    def close(self) -> None:
        """End the thread; its renders are cancelled when their requester is gone."""
        self._closing.set()
        self.join()

    def shares(self) -> list[int]:
        """How many renders of each client have ended."""
        return [self.ended[topic] for topic in self._topics]


_numbers = itertools.count()


def ask(client: Client, root: str, topic: str, text: str = TEXT, sound_format: SoundFormat = SoundFormat.PCM) -> bytes:
    """Asks for a render; returns its Correlation Data."""
    correlation = str(next(_numbers)).encode()
    payload = request_payload(text, format=sound_format, ttl_s=3600)
    client.publish(f"{root}/render", payload, ResponseTopic=topic, CorrelationData=correlation)
    return correlation


def begins(board: Board, sound_format: SoundFormat, count: int, cost_s: float) -> dict[str, float]:
    """Measures the time from the end of a render's first synthesis to its first part here, one after the other."""
    topic, times_s = f"ishowtts/reply/begin-{sound_format.value}", []
    board.client.subscribe(topic)
    for _ in range(count):
        name = code(next(_numbers))
        correlation = ask(board.client, board.daemon.root, topic, f"This is {name} of the tone.", sound_format)
        sound = board.client.wait_for(
            topic,
            lambda message: (
                message.correlation == correlation  # noqa: B023  called at once
                and isinstance(parse_part(message.payload, message.user), RenderSound)
            ),
        )
        times_s.append(sound.at - made_s(board, name, cost_s))
    return percentiles(times_s)


def first_bytes(board: Board, count: int, cost_s: float) -> Figures:
    """Measures the time from the end of a text's first synthesis to the first byte of the gateway's response."""
    found: Figures = {}
    with ServedGateway(*board.client.address) as gateway:
        gateway.wait_for_boards(board.daemon.root.rpartition("/")[2])
        for sound_format in SoundFormat:
            times_s = []
            for _ in range(count):
                name = code(next(_numbers))
                body = {"input": f"This is {name} of the tone.", "response_format": sound_format.value}
                request = urllib.request.Request(  # noqa: S310  an address of this machine
                    f"{gateway.url}/v1/audio/speech", json.dumps(body).encode(), {"Content-Type": "application/json"}
                )
                with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                    response.read(1)
                    first_s = time.monotonic()
                    response.read()
                times_s.append(first_s - made_s(board, name, cost_s))
            found[sound_format.value] = percentiles(times_s)
    return found


def made_s(board: Board, name: str, cost_s: float) -> float:
    """Returns when the synthesis of the text with this name ended, in monotonic seconds."""
    return cost_s + next(note["at"] for note in read_notes(board.daemon.notes) if f" {name} " in note.get("spoke", ""))


def say_to_both(boards: Sequence[Board], lines: int, pause_s: float) -> list[dict[int, float]]:
    """Publishes the same lines to each daemon, one after the other; returns when, by the levels of their sounds."""
    sent: list[dict[int, float]] = [{} for _ in boards]
    chance = random.Random(20)  # noqa: S311
    for number in range(lines):
        name = code(100 + number)
        for board, times in zip(boards, sent, strict=True):
            times[height(name)] = time.monotonic()
            board.daemon.say(board.client, LINE.format(name), id=str(number))
        for board in boards:
            board.daemon.final(board.client, str(number))
        time.sleep(chance.uniform(0, pause_s))  # a line comes at any time of a render's segment
    return sent


def heard(board: Board, sent: dict[int, float]) -> Figures:
    """Returns when the lines were heard after they were sent, and the longest gap within one."""
    blocks: dict[int, list[float]] = {level: [] for level in sent}
    for note in read_notes(board.daemon.notes):
        if "wrote" in note and note["wrote"][0] in blocks:
            blocks[note["wrote"][0]].append(note["at"])
    gaps_s = [max(after - before for before, after in pairwise(times)) for times in blocks.values()]
    return {
        "line_ms": percentiles([times[0] - sent[level] for level, times in blocks.items()]),
        "silence_ms": percentiles(gaps_s),
    }


def percentiles(times_s: Sequence[float]) -> dict[str, float]:
    """Returns median, 90th percentile and maximum, in milliseconds."""
    found = {"p50": percentile(times_s, 50), "p90": percentile(times_s, 90), "max": max(times_s)}
    return {name: round(1000 * value, 1) for name, value in found.items() if value is not None}


def flatten(figures: Figures, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every figure with its full name."""
    for key, value in figures.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{before}{key}.")
        else:
            yield (before + key).replace("_", " "), value


if __name__ == "__main__":
    sys.exit(main())
