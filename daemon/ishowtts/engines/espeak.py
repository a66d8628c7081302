"""The spare voice: espeak-ng, one short-lived program for each segment."""

from __future__ import annotations

import re
import struct
import subprocess
import time
from collections.abc import Callable, Sequence

import numpy as np

from ishowtts.engines import Cancelled, IsCancelled, Progress, ReportProgress, VoiceCard
from ishowtts.errors import EngineError, SynthesisError, VoiceError, first_line
from ishowtts.speech import Samples, Segment, Utterance

_PROGRAM = "espeak-ng"
_RATE_HZ = 22050
_WORDS_PER_MINUTE = 175
_MAX_SEGMENT_BYTES = 400
_DEADLINE_S = 20.0
_CANCEL_POLL_S = 0.02
_CHINESE_VOICE = "cmn"
_WRITTEN_IN_HAN = ("cmn", "hak", "ja", "yue", "zh")
_VOICE_NAME = re.compile(r"[A-Za-z0-9+_][A-Za-z0-9+_-]{0,31}")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class EspeakEngine:
    """Speaks with espeak-ng; whatever voice a segment names, this one answers.

    Args:
        voice: espeak-ng's own name of a voice; text that is mostly Han is spoken in Mandarin.
        language_of: the language of the voice that a segment names, which is then spoken in that one's stead.
    """

    def __init__(self, voice: str = "en-us", language_of: Callable[[str | None], str | None] = lambda _: None) -> None:
        if not _VOICE_NAME.fullmatch(voice):
            raise VoiceError(f"{voice!r} is no name of an espeak-ng voice; `espeak-ng --voices` lists them")
        self._voice = voice
        self._language_of = language_of
        self._rate_hz = _RATE_HZ

    @property
    def name(self) -> str:
        """`espeak`."""
        return "espeak"

    @property
    def rate_hz(self) -> int:
        """As espeak-ng gives it: 22,050 but for a few foreign voices."""
        return self._rate_hz

    def load(self, progress: ReportProgress) -> None:
        """Say a word, so that a missing program or voice shows now.

        Raises:
            EngineError: espeak-ng is not installed or does not work.
            VoiceError: it has no such voice.
        """
        progress(Progress("load", 0, 1))
        try:
            _, self._rate_hz = _speak("ready", self._voice, 1.0, lambda: False)
        except SynthesisError as error:
            raise VoiceError(
                f"espeak-ng cannot speak in the voice {self._voice!r} ({error}); `espeak-ng --voices` lists what it has"
            ) from error
        progress(Progress("load", 1, 1))

    @staticmethod
    def version() -> str:
        """What espeak-ng says of itself. Raises EngineError where it does not."""
        try:
            done = subprocess.run([_PROGRAM, "--version"], capture_output=True, timeout=_DEADLINE_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"espeak-ng does not tell its version ({first_line(error)})") from error
        return done.stdout.decode("utf-8", "replace").strip()[:200]

    def prepare(self, voice: str | None) -> VoiceCard:
        """There is nothing to prepare: every voice is answered by this one."""
        return VoiceCard(self._voice, _MAX_SEGMENT_BYTES)

    def warm(self, progress: ReportProgress) -> None:
        """There is nothing to warm."""
        progress(Progress("warm", 1, 1))

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speak one segment: S16 mono at `rate_hz`.

        Raises:
            SynthesisError: no sound came of this text.
            EngineError: espeak-ng is not installed.
            Cancelled: `cancelled()` turned true; the program is ended.
        """
        started = time.monotonic()
        voice, speed = self._choose(segment), segment.speed or 1.0
        try:
            samples, rate_hz = _speak(segment.text, voice, speed, cancelled)
        except SynthesisError:
            if voice == self._voice:
                raise
            voice = self._voice  # espeak-ng need not have the language that a voice names
            samples, rate_hz = _speak(segment.text, voice, speed, cancelled)
        return Utterance(samples, rate_hz, time.monotonic() - started, self.name, voice)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """One behind the other: espeak-ng gains nothing by a batch. Raises as `synthesize` does."""
        return [self.synthesize(segment, cancelled) for segment in segments]

    def close(self) -> None:
        """There is nothing to let go of."""

    def _choose(self, segment: Segment) -> str:
        """The espeak-ng voice for a segment."""
        if self._rate_hz != _RATE_HZ:
            return self._voice  # a foreign rate stays: one engine has one
        language = self._language_of(segment.voice)
        if _mostly_han(segment.text) and language not in _WRITTEN_IN_HAN:
            return _CHINESE_VOICE
        return language or self._voice


def plain(text: str) -> str:
    """Text that espeak-ng reads as words: no control characters, no `[[phonemes]]`."""
    spaced = " ".join(_CONTROL.sub(" ", text).split())
    return re.sub(r"\[(?=\[)", "[ ", spaced)


def _mostly_han(text: str) -> bool:
    letters = sum(character.isalpha() for character in text)
    return letters > 0 and 2 * len(_HAN.findall(text)) > letters


def _speak(text: str, voice: str, speed: float, cancelled: IsCancelled) -> tuple[Samples, int]:
    if cancelled():
        raise Cancelled
    words_per_minute = round(_WORDS_PER_MINUTE * min(max(speed, 0.5), 2.0))
    # Text goes by stdin alone: in its arguments espeak-ng would take `-f/etc/passwd` for a file to read.
    command = [_PROGRAM, "-b", "1", "-v", voice, "-s", str(words_per_minute), "--stdin", "--stdout"]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise EngineError(
            f"espeak-ng cannot be started ({error.strerror}); mend it with `apt install espeak-ng`"
        ) from error
    with process:
        try:
            wav, complaint = _await_output(process, plain(text).encode("utf-8", "replace"), cancelled)
        finally:
            process.kill()
    if process.returncode != 0:
        reason = complaint.decode("utf-8", "replace").strip()[:200]
        raise SynthesisError(f"espeak-ng failed with exit status {process.returncode}: {reason}")
    return parse_wav(wav)


def _await_output(process: subprocess.Popen[bytes], text: bytes, cancelled: IsCancelled) -> tuple[bytes, bytes]:
    assert process.stdin is not None  # noqa: S101  it is a pipe
    # Not through communicate(): where its time is up before it has written its input, it never does. A segment fits
    # into the buffer, which communicate() flushes and closes first.
    process.stdin.write(text)
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        try:
            return process.communicate(timeout=_CANCEL_POLL_S)
        except subprocess.TimeoutExpired:
            if cancelled():
                raise Cancelled from None
            if time.monotonic() > deadline:
                raise SynthesisError(f"espeak-ng did not finish within {_DEADLINE_S:g} s") from None


def parse_wav(wav: bytes) -> tuple[Samples, int]:
    """Samples and rate of a WAV that was written to a pipe, where its lengths could not be known.

    Raises:
        SynthesisError: it is not S16 mono, or holds no sound.
    """
    start = wav.find(b"data", 12)
    if len(wav) < 44 or wav[:4] != b"RIFF" or wav[8:16] != b"WAVEfmt " or start < 0:
        raise SynthesisError("espeak-ng made no sound of this text")
    coding, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", wav, 20)
    if (coding, channels, bits) != (1, 1, 16) or rate_hz == 0:
        raise SynthesisError(f"espeak-ng made sound of another form: {channels} channels, {bits} bits")
    sound = wav[start + 8 :]
    samples = np.frombuffer(sound[: len(sound) // 2 * 2], dtype="<i2").astype(np.int16)
    if len(samples) == 0:
        raise SynthesisError("espeak-ng made no sound of this text")
    return samples, rate_hz
