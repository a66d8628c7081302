"""The last engine of the order: espeak-ng, which speaks over 100 languages, started once for each segment."""

from __future__ import annotations

import logging
import re
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from ishowtts.engines import Progress, ReportProgress, VoiceInfo
from ishowtts.engines.durations import longest_plausible_s
from ishowtts.engines.espeak_voices import (
    DEFAULT_VOICE,
    PROGRAM,
    TEST_WORD,
    nearest_voice,
    never,
    spoken_languages,
    unknown_voice,
    voice_language,
)
from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.model import IsCancelled, Samples, Segment, Utterance
from ishowtts.text.scripts import base_language
from ishowtts.util import program
from ishowtts.util.logs import log_fields

log = logging.getLogger(__name__)

_LOG_FIELDS = log_fields(engine="espeak")
_RATE_HZ = 22050
_PLAUSIBLE_RATES_HZ = range(8_000, 192_001)
_MAX_BYTES_PER_S = 2 * 48_000  # S16 mono; no voice of espeak-ng has a higher rate
_MAX_HEADER_BYTES = 1024
_WORDS_PER_MINUTE = 175
MAX_SEGMENT_BYTES = 400
_DEADLINE_S = 10.0
_STUCK_S = 1.0  # a segment takes 0.02 s; a process that hangs is replaced by another one before the line is silent long
_CHINESE_VOICE = "cmn"
_VOICE_NAME = re.compile(r"[A-Za-z0-9+_][A-Za-z0-9+_-]{0,31}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class EspeakEngine:
    """Speaks with espeak-ng in the language of a segment, whatever voice it names.

    After a failure, a test word shows whether the text or the program is at fault. If it is the program, `problem`
    says why until the program works again. If the program has no such voice, the nearest of its voices speaks.

    Args:
        voice: a voice of espeak-ng. It speaks segments of its own language, and those that name none.
        on_change: called after `problem` changed, on the thread that called the engine; it must not raise.

    Attributes:
        problem: why the program does not work, in one sentence; `None` if it works, as far as is known.
        voice_problem: that the program has no such voice, and which one speaks; `None` if it has it, as far as known.
    """

    def __init__(
        self,
        voice: str = DEFAULT_VOICE,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        if not _VOICE_NAME.fullmatch(voice):
            raise VoiceError(f"{voice!r} is not a valid name of an espeak-ng voice; `espeak-ng --voices` lists them")
        self._wanted = self._voice = voice
        self._on_change = on_change
        self._rate_hz = _RATE_HZ
        self._languages: frozenset[str] | None = None
        self.problem: str | None = None
        self.voice_problem: str | None = None

    @property
    def name(self) -> str:
        """`espeak`."""
        return "espeak"

    @property
    def voice(self) -> str:
        """The voice of espeak-ng that speaks: the configured one, or the nearest to it."""
        return self._voice

    @property
    def rate_hz(self) -> int:
        """Sample rate of espeak-ng: 22,050 Hz, except for a few third-party voices."""
        return self._rate_hz

    def languages(self) -> frozenset[str] | None:
        """Returns the base languages that the program has; `None` if that is not known, as before `load`."""
        return self._languages

    def load(self, progress: ReportProgress) -> None:
        """Speaks a test word, so that a missing program or voice is noticed now.

        Raises:
            EngineUnavailable: espeak-ng is not installed or does not work. It may work later.
        """
        progress(Progress("load", 0, 1))
        self.check(never)
        progress(Progress("load", 1, 1))

    def check(self, cancelled: IsCancelled) -> None:
        """Speaks a test word, and sets `problem` accordingly. Raises as `load` does, and Cancelled."""
        self._voice = self._wanted
        fault, missing = self._fault(self._wanted, cancelled), None
        if fault is not None and self._fault(DEFAULT_VOICE, cancelled) is None:
            # The program works. Test once more: it may have been repaired since the failure.
            fault = self._fault(self._wanted, cancelled)
            if fault is not None:
                fault, missing = self._use_nearest(fault, cancelled)
        if fault is not None:
            raise self._unavailable(fault)
        self._languages = spoken_languages(self._wanted, cancelled)
        self._set_problem(None)
        self._set_voice_problem(missing)

    def _use_nearest(self, fault: str, cancelled: IsCancelled) -> tuple[str | None, str]:
        """Uses another voice. Returns why it does not work either, and the sentence about the configured one."""
        for voice in (nearest_voice(self._wanted, cancelled), DEFAULT_VOICE):
            self._voice = voice
            if (other_fault := self._fault(voice, cancelled)) is None:
                break
        return other_fault, unknown_voice(self._wanted, fault, self._voice)

    @staticmethod
    def version() -> str:
        """Returns the version line of espeak-ng. Raises EngineError if there is none."""
        limits = program.ProgramLimits(_DEADLINE_S, _MAX_HEADER_BYTES)
        try:
            output = program.run([PROGRAM, "--version"], b"", limits, never)
        except (program.ProgramMissing, program.ProgramFailed) as error:
            raise EngineError(f"espeak-ng does not report its version ({error})") from error
        return output.decode("utf-8", "replace").strip()[:200]

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Returns the info of the espeak-ng voice, which speaks for every voice. There is nothing to prepare."""
        return VoiceInfo(self._voice, MAX_SEGMENT_BYTES)

    def warm(self, progress: ReportProgress) -> None:
        """Does nothing: each segment starts a new program."""
        progress(Progress("warm", 1, 1))

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speaks one segment: S16 mono at `rate_hz`.

        Raises:
            SynthesisError: the text produced no sound, although the program works.
            EngineUnavailable: espeak-ng is not installed or does not work.
            Cancelled: `cancelled()` turned true; the program is killed.
        """
        started = time.monotonic()
        voice, speed = self._choose(segment), segment.speed or 1.0
        try:
            samples, rate_hz = _speak(segment.text, voice, speed, cancelled)
        except (program.ProgramMissing, SynthesisError):
            if (fault := self._fault(self._voice, cancelled)) is not None:
                raise self._unavailable(fault) from None
            voice, samples, rate_hz = self._retry(segment, voice, cancelled)
        self._set_problem(None)
        return Utterance(samples, rate_hz, time.monotonic() - started, self.name, voice)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speaks one segment after the other: espeak-ng gains nothing from a batch. Raises as `synthesize` does."""
        return [self.synthesize(segment, cancelled) for segment in segments]

    def close(self) -> None:
        """Does nothing: the engine holds no resources."""

    def _retry(self, segment: Segment, failed: str, cancelled: IsCancelled) -> tuple[str, Samples, int]:
        """Speaks again: the program may have been repaired between the failure and the test.

        espeak-ng may lack the voice that failed. The base language comes first (`no` for `nn`), then the configured
        voice. Returns the voice that spoke, samples and rate.
        """
        text, speed = segment.text, segment.speed or 1.0
        language = _language_voice(base_language(segment.language))
        voices = [language, self._voice] if failed not in (language, self._voice) else [self._voice]
        try:
            for voice in voices[:-1]:
                with suppress(SynthesisError):
                    return voice, *_speak(text, voice, speed, cancelled)
            return self._voice, *_speak(text, self._voice, speed, cancelled)
        except program.ProgramMissing as error:
            raise self._unavailable(str(error)) from error

    def _fault(self, voice: str, cancelled: IsCancelled) -> str | None:
        """Returns why a voice cannot speak the test word; `None` if it can."""
        try:
            _, rate_hz = _speak(TEST_WORD, voice, 1.0, cancelled)
        except (program.ProgramMissing, SynthesisError) as error:
            return str(error)
        if voice == self._voice:
            self._rate_hz = rate_hz
        return None

    def _unavailable(self, reason: str) -> EngineUnavailable:
        sentence = f"espeak-ng does not work ({reason}); `apt install --reinstall espeak-ng` may repair it"
        self._set_problem(sentence)
        return EngineUnavailable(sentence)

    def _set_problem(self, problem: str | None) -> None:
        before, self.problem = self.problem, problem
        if (before is None) == (problem is None):
            return
        if problem is None:
            log.info("espeak-ng works again", extra=_LOG_FIELDS)
        else:
            log.error("%s", problem, extra=_LOG_FIELDS)
        self._on_change()

    def _set_voice_problem(self, problem: str | None) -> None:
        if problem == self.voice_problem:
            return
        self.voice_problem = problem
        if problem is not None:
            log.error("%s", problem, extra=_LOG_FIELDS)
        self._on_change()

    def _choose(self, segment: Segment) -> str:
        """Returns the espeak-ng voice for a segment: the configured one, or the language, which is a voice too."""
        own, language = voice_language(self._wanted), (segment.language or "").lower()
        if language in ("", own, base_language(own)) or not _VOICE_NAME.fullmatch(language):
            return self._voice
        return _language_voice(language)


def _language_voice(language: str) -> str:
    """Returns the voice of a language, which has the same name, except for Chinese."""
    return _CHINESE_VOICE if language == "zh" or language.startswith("zh-") else language


def plain(text: str) -> str:
    """Removes what espeak-ng would not read as words: control characters and the markup of `[[phonemes]]`."""
    spaced = " ".join(_CONTROL.sub(" ", text).split())
    return re.sub(r"\[(?=\[)", "[ ", spaced)


def _speak(text: str, voice: str, speed: float, cancelled: IsCancelled) -> tuple[Samples, int]:
    """Runs the program once. Raises ProgramMissing, SynthesisError, Cancelled."""
    speed = min(max(speed, 0.5), 2.0)
    # The text goes to stdin only: as an argument, `-f/etc/passwd` would make espeak-ng read that file.
    words_per_minute = str(round(_WORDS_PER_MINUTE * speed))
    command = [PROGRAM, "-b", "1", "-v", voice, "-s", words_per_minute, "--stdin", "--stdout"]
    stdin = plain(text).encode("utf-8", "replace")
    audio_s = longest_plausible_s(text, speed)
    most_bytes = _MAX_HEADER_BYTES + round(audio_s * _MAX_BYTES_PER_S)
    if cancelled():
        raise Cancelled
    try:
        try:  # for the second process there is no hurry: it may be the machine
            wav = program.run(command, stdin, program.ProgramLimits(min(_STUCK_S, _DEADLINE_S), most_bytes), cancelled)
        except program.ProgramSlow:
            wav = program.run(command, stdin, program.ProgramLimits(_DEADLINE_S, most_bytes), cancelled)
    except program.ProgramFailed as error:
        raise SynthesisError(f"espeak-ng {error}") from error
    samples, rate_hz = parse_wav(wav)
    if len(samples) > audio_s * rate_hz:
        raise SynthesisError(
            f"espeak-ng made {len(samples) / rate_hz:.0f} s of sound from {len(stdin)} bytes; "
            f"{audio_s:.0f} s is plausible"
        )
    return samples, rate_hz


def parse_wav(wav: bytes) -> tuple[Samples, int]:
    """Returns samples and rate of a WAV that was written to a pipe: the lengths in its header are not valid.

    Raises:
        SynthesisError: it is not S16 mono at 8,000 to 192,000 Hz, or contains no sound.
    """
    start = wav.find(b"data", 36, _MAX_HEADER_BYTES)
    if len(wav) < 44 or wav[:4] != b"RIFF" or wav[8:16] != b"WAVEfmt " or start < 0:
        raise SynthesisError("espeak-ng made no sound from this text")
    coding, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", wav, 20)
    if (coding, channels, bits) != (1, 1, 16) or rate_hz not in _PLAUSIBLE_RATES_HZ:
        raise SynthesisError(f"espeak-ng made sound in an unexpected format: {channels} x {bits} bits, {rate_hz} Hz")
    sound = wav[start + 8 :]
    samples = np.frombuffer(sound[: len(sound) // 2 * 2], dtype="<i2").astype(np.int16)
    if len(samples) == 0:
        raise SynthesisError("espeak-ng made no sound from this text")
    return samples, rate_hz
