"""Measures the natural voice on fifty lines as users send them, with espeak-ng beside it.

`scripts/bench-voice` runs this. The quality is measured in this process: the text reader, the engine and the
post-processing, as the daemon uses them. Whisper writes down what it hears. The first sound is measured from PUBLISH to
the sound device, with a real broker and the real daemon. Prints a table, the lines with wrong words, then one line of
JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ishowtts.engines import Engine
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.hibari.hibari_engine import HibariEngine, HibariOptions
from ishowtts.model import Segment, Utterance
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.status.speech_figures import percentile
from ishowtts.text.reader import TextReader
from ishowtts.util.samples import INT16_FULL_SCALE, resample
from ishowtts_bench.daily_lines import DAILY_LINES
from ishowtts_bench.metrics.asr import CLIP_RATE_HZ, Asr, AsrResult, error_rate
from ishowtts_bench.metrics.dnsmos import Dnsmos
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.publisher import Publisher
from support.quick_daemon import read_notes

ENGINES = ("hibari", "espeak")
GOALS = {"word_error_rate": 0.02, "dnsmos": 3.2, "rtf": 0.05, "first_sample_ms_p50": 150}
QUIET_S = 1.0
AUDIBLE = 33  # -60 dBFS, on the scale of int16
LOUDNESS_LUFS, PEAK_DBTP = -16.0, -1.0  # the defaults of the daemon
QUALITY, FIRST_SOUND = "quality", "first-sound"

Figures = dict[str, Any]


def main() -> int:
    """Returns the exit status, always 0. The reader judges whether the goals are met."""
    parser = argparse.ArgumentParser(prog="scripts/bench-voice", description=__doc__)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--only", nargs="+", choices=(QUALITY, FIRST_SOUND), default=[QUALITY, FIRST_SOUND])
    parser.add_argument("--lines", type=int, default=len(DAILY_LINES), help="use only the first lines")
    parser.add_argument("--wav", type=Path, help="a folder for the sound of each line")
    arguments = parser.parse_args()
    lines = DAILY_LINES[: arguments.lines]
    figures: Figures = {"lines": len(lines), "cores": os.cpu_count(), "load_before": load(), "goals": GOALS}
    for name in arguments.engines:
        figures[name] = {}
        if QUALITY in arguments.only:
            spoken = speak(name, lines)
            if arguments.wav:
                save(spoken, arguments.wav / name)
            figures[name] |= quality(spoken)
        if FIRST_SOUND in arguments.only:
            figures[name] |= first_sound(name, lines)
    figures["load_after"] = load()
    show_table(figures, arguments.engines)
    show_wrong_words(figures, arguments.engines)
    print(json.dumps(figures, ensure_ascii=False))
    return 0


def load() -> list[float]:
    """Returns how many processes wanted a core, over 1 and 5 minutes: other work makes the times longer."""
    return [round(value, 2) for value in os.getloadavg()[:2]]


@dataclass(frozen=True)
class SpokenLine:
    """A line, how it was read, and its sound.

    Attributes:
        heard: The sound as the device gets it, at 24 kHz in [-1, 1].
        cpu_s: Seconds of CPU time that the synthesis took, also in other processes.
    """

    line: str
    spoken: str
    utterance: Utterance
    heard: np.ndarray
    cpu_s: float


def speak(name: str, lines: Sequence[str]) -> list[SpokenLine]:
    """Speaks the lines with an engine in this process."""
    engine: Engine = HibariEngine(HibariOptions()) if name == "hibari" else EspeakEngine("en-us")
    reader = TextReader(None, lambda _: "en")
    processor = PostProcessor(rate_hz=CLIP_RATE_HZ, loudness_lufs=LOUDNESS_LUFS, peak_dbtp=PEAK_DBTP)
    processor.prepare()
    with closing(engine):
        engine.load(lambda _: None)
        engine.warm(lambda _: None)
        found = []
        for number, line in enumerate(lines):
            spoken = reader.read(line, None)
            began_s = cpu_seconds()
            utterance = engine.synthesize(Segment(str(number), 0, 1, spoken, seed=number), lambda: False)
            cpu_s = cpu_seconds() - began_s
            sound = np.asarray(processor.process(utterance, str(number)), np.float32) / np.float32(INT16_FULL_SCALE)
            found.append(SpokenLine(line, spoken, utterance, sound, cpu_s))
    return found


def cpu_seconds() -> float:
    """Returns the CPU time of this thread and of ended child processes. OpenBLAS has other threads, which spin."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.thread_time() + children.ru_utime + children.ru_stime


def save(spoken: Sequence[SpokenLine], folder: Path) -> None:
    """Writes the sound of each line into a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(spoken, start=1):
        soundfile.write(folder / f"{number:02}.wav", line.heard, CLIP_RATE_HZ)


def quality(spoken: Sequence[SpokenLine]) -> Figures:
    """Measures words, predicted opinion and speed."""
    asr, dnsmos = Asr(), Dnsmos()
    clips = [line.heard for line in spoken]
    texts = [line.line for line in spoken]
    results = asr.recognize(clips, texts, "en")
    audio_s = sum(line.utterance.audio_s for line in spoken)
    raw = [resample(line.utterance.samples, line.utterance.rate_hz, CLIP_RATE_HZ) for line in spoken]
    opinions = [dnsmos.overall(clip, CLIP_RATE_HZ) for clip in clips]
    return {
        "words": sum(result.total for result in results),
        "word_errors": sum(result.edits for result in results),
        "word_error_rate": round(error_rate(results), 4),
        "dnsmos": round(statistics.mean(opinions), 3),
        "dnsmos_lowest": round(min(opinions), 3),
        "dnsmos_before_post_processing": round(
            statistics.mean(
                dnsmos.overall(np.asarray(clip / INT16_FULL_SCALE, np.float32), CLIP_RATE_HZ) for clip in raw
            ),
            3,
        ),
        "audio_s": round(audio_s, 1),
        "rtf": round(sum(line.utterance.synth_s for line in spoken) / audio_s, 4),
        "rtf_cpu_time": round(sum(line.cpu_s for line in spoken) / audio_s, 4),
        "wrong": [wrong(line, result) for line, result in zip(spoken, results, strict=True) if result.edits],
    }


def wrong(line: SpokenLine, result: AsrResult) -> Figures:
    """Returns what shows where a wrong word comes from: the text reader, the engine, or Whisper."""
    return {"line": line.line, "read_as": line.spoken, **asdict(result)}


def first_sound(name: str, lines: Sequence[str]) -> Figures:
    """Measures the time from the PUBLISH of a line to its first sample, and to its first audible sample.

    The speaker takes notes and is silent for as long as the sound lasts. Each line is published a second after the one
    before has ended, so it does not wait for the pause between two lines. Nothing is cached, and every other setting is
    the daemon's default.
    """
    with tempfile.TemporaryDirectory(prefix="ishowtts-bench-") as folder_name:
        folder = Path(folder_name)
        (folder / "broker").mkdir()
        settings = {
            "engine": {"kind": name},
            "audio": {"pause_s": 0.3, "loudness_lufs": LOUDNESS_LUFS, "peak_dbtp": PEAK_DBTP, "volume": 100},
        }
        with (
            Broker(folder / "broker", extra=("log_type none", "log_type information"), saves_changes=True) as broker,
            Appliance(folder, broker, settings, quick_s=0.0, quick=["--engine-as-configured"]) as appliance,
            Client(broker.host, broker.port) as client,
            closing(Publisher(broker.host, broker.port, f"{appliance.root}/say")) as publisher,
        ):
            appliance.wait_ready(client)
            times_s = [one_line(appliance, client, publisher, number, line) for number, line in enumerate(lines)]
    samples_s, audible_s = zip(*times_s, strict=True)
    return {
        **{f"first_sample_ms_{part}": value for part, value in spread(samples_s).items()},
        **{f"first_audible_ms_{part}": value for part, value in spread(audible_s).items()},
    }


def one_line(appliance: Appliance, client: Client, publisher: Publisher, number: int, line: str) -> tuple[float, float]:
    """Publishes a line and waits for its end; returns the seconds to its first and to its first audible sample."""
    line_id = f"line-{number}"
    time.sleep(QUIET_S)
    sent_s = time.monotonic()
    publisher.publish(number, json.dumps({"id": line_id, "text": line}, ensure_ascii=False).encode())
    publisher.finish(10)
    event = appliance.final(client, line_id)
    if event["event"] != "finished":
        raise SystemExit(f"scripts/bench-voice: the line {line!r} was not spoken: {event}")
    written = [note for note in read_notes(appliance.notes) if note["at"] >= sent_s and "wrote" in note]
    audible = next(note for note in written if note["peak"] > AUDIBLE)
    return written[0]["at"] - sent_s, audible["at"] - sent_s


def spread(times_s: Sequence[float]) -> dict[str, float]:
    """Returns median and 95th percentile, in milliseconds."""
    found = {"p50": percentile(times_s, 50), "p95": percentile(times_s, 95)}
    return {name: round(1000 * value, 1) for name, value in found.items() if value is not None}


def show_table(figures: Figures, engines: Sequence[str]) -> None:
    """Prints the figures of the engines beside each other."""
    print(f"{'':34}" + "".join(f"{name:>12}" for name in engines) + f"{'goal':>12}")
    names = [name for name in figures[engines[0]] if name != "wrong"]
    for name in names:
        goal = GOALS.get(name, "")
        print(f"{name.replace('_', ' '):34}" + "".join(f"{figures[e][name]:>12}" for e in engines) + f"{goal:>12}")
    print(f"load average over 1 and 5 min: {figures['load_before']} before, {figures['load_after']} after")


def show_wrong_words(figures: Figures, engines: Sequence[str]) -> None:
    """Prints the lines that were not heard as they are written."""
    for engine in engines:
        for found in figures[engine].get("wrong", ()):
            print(f"{engine}: {found['line']}\n    read as: {found['read_as']}\n    heard:   {found['transcript']}")


if __name__ == "__main__":
    sys.exit(main())
