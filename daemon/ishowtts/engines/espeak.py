"""The spare voice: espeak-ng, one short-lived program for each segment."""

from __future__ import annotations

import logging
import re
import struct
import time
from collections.abc import Callable, Sequence

import numpy as np

from ishowtts.engines import Progress, ReportProgress, VoiceInfo
from ishowtts.engines.durations import longest_plausible_s
from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.limits import HAN
from ishowtts.model import IsCancelled, Samples, Segment, Utterance
from ishowtts.util import program
from ishowtts.util.callbacks import no_op

_log = logging.getLogger(__name__)

_PROGRAM = "espeak-ng"
_RATE_HZ = 22050
_RATES_HZ = range(8_000, 192_001)
_MAX_BYTES_PER_S = 2 * 48_000  # S16 mono; no voice of espeak-ng has a higher rate
_MAX_HEADER_BYTES = 1024
_WORDS_PER_MINUTE = 175
_MAX_SEGMENT_BYTES = 400
_DEADLINE_S = 10.0
_KNOWN_WORD = "ready"
_KNOWN_VOICE = "en-us"
_CHINESE_VOICE = "cmn"
_WRITTEN_IN_HAN = ("cmn", "hak", "ja", "yue", "zh")
_VOICE_NAME = re.compile(r"[A-Za-z0-9+_][A-Za-z0-9+_-]{0,31}")
_HAN = re.compile(f"[{HAN}]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def _never() -> bool:
    return False


class EspeakEngine:
    """Speaks with espeak-ng; whatever voice a segment names, this one answers.

    After a failure a known word tells whether the text or the program is at fault. If the program is, `trouble` says
    why until it works again.

    Args:
        voice: espeak-ng's own name of a voice; text that is mostly Han is spoken in Mandarin.
        language_of: the language of the voice that a segment names, which is then spoken in that one's stead.
        on_change: called after `trouble` changed, on the thread that called the engine; it must not raise.

    Attributes:
        trouble: why the program does not work, in one sentence; `None`: it does, as far as is known.
    """

    def __init__(
        self,
        voice: str = "en-us",
        language_of: Callable[[str | None], str | None] = lambda _: None,
        on_change: Callable[[], None] = no_op,
    ) -> None:
        if not _VOICE_NAME.fullmatch(voice):
            raise VoiceError(f"{voice!r} is no name of an espeak-ng voice; `espeak-ng --voices` lists them")
        self._voice = voice
        self._language_of = language_of
        self._on_change = on_change
        self._rate_hz = _RATE_HZ
        self.trouble: str | None = None

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
            EngineUnavailable: espeak-ng is not installed or does not work. It may later.
            VoiceError: it works, but has no such voice.
        """
        progress(Progress("load", 0, 1))
        self.check(_never)
        progress(Progress("load", 1, 1))

    def check(self, cancelled: IsCancelled) -> None:
        """Say a known word, and set `trouble` accordingly. Raises as `load` does, and Cancelled."""
        fault = self._fault(self._voice, cancelled)
        if fault is not None and self._voice != _KNOWN_VOICE and self._fault(_KNOWN_VOICE, cancelled) is None:
            # The program works. Ask once more: it may have been repaired since the failure.
            fault = self._fault(self._voice, cancelled)
            if fault is not None:
                unknown = (
                    f"espeak-ng has no voice {self._voice!r} ({fault}); name one of `espeak-ng --voices` as "
                    f"engine.espeak_voice"
                )
                self._set_trouble(unknown)
                raise VoiceError(unknown)
        if fault is not None:
            raise self._unavailable(fault)
        self._set_trouble(None)

    @staticmethod
    def version() -> str:
        """What espeak-ng says of itself. Raises EngineError if it does not."""
        limits = program.ProgramLimits(_DEADLINE_S, _MAX_HEADER_BYTES)
        try:
            said = program.run([_PROGRAM, "--version"], b"", limits, _never)
        except (program.ProgramMissing, program.ProgramFailed) as error:
            raise EngineError(f"espeak-ng does not tell its version ({error})") from error
        return said.decode("utf-8", "replace").strip()[:200]

    def prepare(self, voice: str | None) -> VoiceInfo:
        """There is nothing to prepare: every voice is answered by this one."""
        return VoiceInfo(self._voice, _MAX_SEGMENT_BYTES)

    def warm(self, progress: ReportProgress) -> None:
        """There is nothing to warm."""
        progress(Progress("warm", 1, 1))

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speak one segment: S16 mono at `rate_hz`.

        Raises:
            SynthesisError: no sound came of this text, though the program works.
            EngineUnavailable: espeak-ng is not installed or does not work.
            Cancelled: `cancelled()` turned true; the program is ended.
        """
        started = time.monotonic()
        voice, speed = self._choose(segment), segment.speed or 1.0
        try:
            samples, rate_hz = _speak(segment.text, voice, speed, cancelled)
        except (program.ProgramMissing, SynthesisError):
            if (fault := self._fault(self._voice, cancelled)) is not None:
                raise self._unavailable(fault) from None
            # Once more: the program may have been repaired between the failure and the test. And in the configured
            # voice: espeak-ng need not have the language that a voice names.
            voice = self._voice
            samples, rate_hz = self._again(segment.text, speed, cancelled)
        self._set_trouble(None)
        return Utterance(samples, rate_hz, time.monotonic() - started, self.name, voice)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """One behind the other: espeak-ng gains nothing by a batch. Raises as `synthesize` does."""
        return [self.synthesize(segment, cancelled) for segment in segments]

    def close(self) -> None:
        """There is nothing to let go of."""

    def _again(self, text: str, speed: float, cancelled: IsCancelled) -> tuple[Samples, int]:
        try:
            return _speak(text, self._voice, speed, cancelled)
        except program.ProgramMissing as error:
            raise self._unavailable(str(error)) from error

    def _fault(self, voice: str, cancelled: IsCancelled) -> str | None:
        """Why a voice cannot say a word that every working espeak-ng can; `None`: it can."""
        try:
            _, rate_hz = _speak(_KNOWN_WORD, voice, 1.0, cancelled)
        except (program.ProgramMissing, SynthesisError) as error:
            return str(error)
        if voice == self._voice:
            self._rate_hz = rate_hz
        return None

    def _unavailable(self, reason: str) -> EngineUnavailable:
        sentence = f"espeak-ng does not work ({reason}); `apt install --reinstall espeak-ng` may repair it"
        self._set_trouble(sentence)
        return EngineUnavailable(sentence)

    def _set_trouble(self, trouble: str | None) -> None:
        before, self.trouble = self.trouble, trouble
        if (before is None) == (trouble is None):
            return
        if trouble is None:
            _log.info("espeak-ng works again")
        else:
            _log.error("%s", trouble)
        self._on_change()

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
    """One run of the program. Raises ProgramMissing, SynthesisError, Cancelled."""
    speed = min(max(speed, 0.5), 2.0)
    # Text goes by stdin alone: in its arguments espeak-ng would take `-f/etc/passwd` for a file to read.
    words_per_minute = str(round(_WORDS_PER_MINUTE * speed))
    command = [_PROGRAM, "-b", "1", "-v", voice, "-s", words_per_minute, "--stdin", "--stdout"]
    read = plain(text).encode("utf-8", "replace")
    audio_s = longest_plausible_s(text, speed)
    limits = program.ProgramLimits(_DEADLINE_S, _MAX_HEADER_BYTES + round(audio_s * _MAX_BYTES_PER_S))
    if cancelled():
        raise Cancelled
    try:
        samples, rate_hz = parse_wav(program.run(command, read, limits, cancelled))
    except program.ProgramFailed as error:
        raise SynthesisError(f"espeak-ng {error}") from error
    if len(samples) > audio_s * rate_hz:
        raise SynthesisError(
            f"espeak-ng made {len(samples) / rate_hz:.0f} s of sound of {len(read)} bytes; {audio_s:.0f} s is plausible"
        )
    return samples, rate_hz


def parse_wav(wav: bytes) -> tuple[Samples, int]:
    """Samples and rate of a WAV that was written to a pipe, where its lengths could not be known.

    Raises:
        SynthesisError: it is not S16 mono at 8,000 to 192,000 Hz, or holds no sound.
    """
    start = wav.find(b"data", 36, _MAX_HEADER_BYTES)
    if len(wav) < 44 or wav[:4] != b"RIFF" or wav[8:16] != b"WAVEfmt " or start < 0:
        raise SynthesisError("espeak-ng made no sound of this text")
    coding, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", wav, 20)
    if (coding, channels, bits) != (1, 1, 16) or rate_hz not in _RATES_HZ:
        raise SynthesisError(f"espeak-ng made sound of another form: {channels} channels, {bits} bits, {rate_hz} Hz")
    sound = wav[start + 8 :]
    samples = np.frombuffer(sound[: len(sound) // 2 * 2], dtype="<i2").astype(np.int16)
    if len(samples) == 0:
        raise SynthesisError("espeak-ng made no sound of this text")
    return samples, rate_hz
