"""A bench environment with the tiny checkpoint and a short voice.

A run of the model costs as much for a second of reference as for a second of speech. The clip of the default voice has
5.3 s; with 1.2 s of it, the benches take less than half of the time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from ishowtts.engines.voices.voice_library import CLIPS, DEFAULT, TEXT, VoiceLibrary
from ishowtts_bench.bench_env import BenchEnv

CLIP_S = 1.2


@pytest.fixture(scope="session")
def env(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> BenchEnv:
    """fp32 on the CPU, with the voice `short`: the beginning of the default voice."""
    folder = tmp_path_factory.mktemp("voices") / "short"
    folder.mkdir()
    samples, rate_hz = soundfile.read(VoiceLibrary(None).find(DEFAULT).audio_path)
    soundfile.write(folder / CLIPS[0], samples[: round(CLIP_S * rate_hz)], rate_hz)
    (folder / TEXT).write_text("Some call me.\n", encoding="utf-8")
    return BenchEnv(tiny_checkpoint, "cpu", "fp32", folder.parent, "short")


@pytest.fixture(autouse=True)
def _short_measurements(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench measures the machine's rates after each round, each for half a second against the noise of others.

    A product of 2048 rows and a copy of 256 MiB take 0.2 s and 0.05 s a time, and each is done four times at least.
    With an eighth of both, a test of a bench that measures twice takes half of the computing.
    """
    if "env" in request.fixturenames:
        from ishowtts.engines.f5 import throughput

        monkeypatch.setitem(throughput._LEAST_S, "cpu", 0.02)
        monkeypatch.setattr(throughput, "_CPU_SIDE", 1024)
        monkeypatch.setattr(throughput, "_CPU_COPIED", 32 << 20)
