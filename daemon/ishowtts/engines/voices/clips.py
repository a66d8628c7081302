"""Turns a recording into the reference clip of a voice, and reports its defects. Imports no torch."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from ishowtts.engines.voices.phone_recordings import conversion
from ishowtts.engines.voices.recordings import open_recording, read_samples
from ishowtts.errors import VoiceError

ClipSamples = NDArray[np.float64]
"""[samples] or [samples, channels]; full scale is 1."""

RATE_HZ = 24_000
MIN_S = 2.0
MAX_S = 12.0
_MAX_RECORDING_S = 120.0
_EDGE_DB = -42.0  # upstream trims its references at this level, in frames of 10 ms
_PAUSE_DB = -50.0
_MAX_PAUSE_S = 1.0
_TAIL_S = 0.05
_QUIET_DB = -30.0
_DIGITAL_SILENCE_DB = -90.0
_FULL_SCALE = 0.999
_CLIPPED_RUN = 3
_CLIPPED_SHARE = 1e-4
_POOR_SNR_DB = 20.0


@dataclass(frozen=True)
class VoiceClip:
    """The reference clip of a voice, made from a recording.

    Attributes:
        samples: float64 [samples] at 24 kHz, mono, within full scale.
        recorded_s: duration of the recording.
        trimmed_s: silence that was trimmed at both ends.
        pauses_s: silence that was cut out of pauses longer than 1 s.
        rate_hz, channels: sample rate and channels of the recording.
        clipped_share: share of the recording's samples at full scale, in runs of three or more.
        snr_db: level of speech against the quietest twentieth of the recording; `None` if all silence is digital.
    """

    samples: ClipSamples
    recorded_s: float
    trimmed_s: float
    pauses_s: float
    rate_hz: int
    channels: int
    clipped_share: float
    snr_db: float | None

    @property
    def length_s(self) -> float:
        """Duration of the clip."""
        return len(self.samples) / RATE_HZ

    def warnings(self) -> list[str]:
        """Returns audible defects, one sentence each. The clip can be used nevertheless."""
        warnings = []
        if self.clipped_share > _CLIPPED_SHARE:
            warnings.append(
                f"the recording is clipped ({self.clipped_share:.2%} of its samples): the voice will crackle; "
                "record it again with less gain"
            )
        if self.snr_db is not None and self.snr_db < _POOR_SNR_DB:
            warnings.append(
                f"the recording is noisy (speech only {self.snr_db:.0f} dB above the noise), and so will be the voice; "
                "record it in a quieter place, closer to the microphone"
            )
        if self.rate_hz < RATE_HZ:
            warnings.append(
                f"the recording has only {self.rate_hz} samples per second and so lacks high frequencies; "
                f"{RATE_HZ} or more sound clearer"
            )
        return warnings


def make_clip(path: Path, *, convert: bool = True) -> VoiceClip:
    """Reads a recording, mixes it to mono, trims and shortens silence, resamples it to 24 kHz.

    A recording that is too long is refused and not cut: the words that the operator gives would no longer match it.

    Args:
        path: the recording.
        convert: see `open_recording`.

    Raises:
        VoiceError: it cannot be read, or is silent, too quiet, too short or too long.
    """
    recorded, rate_hz = _read(path, convert)
    mono: ClipSamples = recorded.mean(axis=1)
    if _loudest_db(mono, rate_hz) < _QUIET_DB:
        raise VoiceError(f"{path} is silent or far too quiet; record it again with more gain, closer to the microphone")
    trimmed = _trim(mono, rate_hz)
    speech = _shorten_pauses(trimmed, rate_hz)
    length_s = len(speech) / rate_hz + _TAIL_S
    if not MIN_S <= length_s <= MAX_S:
        raise VoiceError(
            f"{path} holds {length_s:.1f} s of speech without the silence at its ends; a clip is {MIN_S:g} to "
            f"{MAX_S:g} s long: "
            + (
                f"cut it at the end of a sentence (`{conversion(path, '-t', '9')}` keeps the first 9 s), "
                "and cut its words there, too"
                if length_s > MAX_S
                else "record a whole sentence or two"
            )
        )
    return VoiceClip(
        samples=_resample(speech, rate_hz),
        recorded_s=len(mono) / rate_hz,
        trimmed_s=(len(mono) - len(trimmed)) / rate_hz,
        pauses_s=(len(trimmed) - len(speech)) / rate_hz,
        rate_hz=rate_hz,
        channels=recorded.shape[1],
        clipped_share=clipped_share(recorded),
        snr_db=snr_db(mono, rate_hz),
    )


def length_s(path: Path) -> float:
    """Returns the duration of a sound file according to its header. Raises VoiceError if it is not a sound file."""
    with open_recording(path) as sound:
        return float(sound.frames / sound.samplerate)


def length_problem(length_s: float) -> str | None:
    """Returns why a clip of this length makes a poor voice; `None` if it is long enough and not too long."""
    if MIN_S <= length_s <= MAX_S:
        return None
    return f"its clip is {length_s:.1f} s long, and should be {MIN_S:g} to {MAX_S:g} s"


def clipped_share(recorded: ClipSamples) -> float:
    """Returns the share of samples ([samples, channels]) at full scale, in runs of three or more."""
    full = np.abs(recorded) >= _FULL_SCALE
    padded = np.pad(full.astype(np.int8), ((1, 1), (0, 0)))
    steps = np.diff(padded, axis=0)
    clipped = 0
    for channel in range(full.shape[1]):
        lengths = np.flatnonzero(steps[:, channel] == -1) - np.flatnonzero(steps[:, channel] == 1)
        clipped += int(lengths[lengths >= _CLIPPED_RUN].sum())
    return clipped / full.size


def snr_db(mono: ClipSamples, rate_hz: int) -> float | None:
    """Returns the level of the louder half of the 20 ms frames against that of the quietest twentieth.

    Frames of digital silence are ignored: a program made them, and they say nothing about the noise of the room.
    """
    levels = _levels_db(mono, rate_hz // 50)
    levels = np.sort(levels[levels > _DIGITAL_SILENCE_DB])
    quietest = levels[: len(levels) // 20]
    if not len(quietest):
        return None
    return _mean_db(levels[len(levels) // 2 :]) - _mean_db(quietest)


def compare(text: str, length_s: float) -> str | None:
    """Returns why these words are implausible for a clip of this length; `None` if they are plausible.

    In scripts whose characters are syllables, 2 to 10 characters per second are plausible; in others, 5 to 25 letters.
    """
    syllables = sum(_is_syllable(character) for character in text)
    letters = sum(not _is_syllable(character) for character in " ".join(text.split()))
    least_s, most_s = syllables / 10 + letters / 25, syllables / 2 + letters / 5
    if least_s <= length_s <= most_s:
        return None
    too_few = length_s > most_s
    return (
        f"the clip is {length_s:.1f} s long, and the words are {'too few' if too_few else 'too many'} for that "
        f"(they take {least_s:.1f} to {most_s:.1f} s): write down "
        f"{'all that is said in it' if too_few else 'only what is said in it'}, word by word, numbers as words"
    )


def cost_ratio(reference_s: float, speech_s: float = 5.0, baseline_s: float = 3.0) -> float:
    """Returns the cost of a segment of `speech_s` with this clip, relative to the cost with a clip of `baseline_s`."""
    return _gflop(reference_s + speech_s) / _gflop(baseline_s + speech_s)


def _gflop(length_s: float) -> float:
    """Returns the GFLOP of one branch of one evaluation of F5TTS_v1_Base over reference and speech."""
    return 35.5 * length_s + 0.79 * length_s**2


def _read(path: Path, convert: bool) -> tuple[ClipSamples, int]:
    """Returns the samples [samples, channels] and the rate."""
    with open_recording(path, convert=convert) as sound:
        return read_samples(sound, _MAX_RECORDING_S, "float64"), int(sound.samplerate)


def _levels_db(mono: ClipSamples, frame: int) -> NDArray[np.float64]:
    """Returns the level of each whole frame, in dB relative to full scale."""
    frames = mono[: len(mono) // frame * frame].reshape(-1, frame)
    levels: NDArray[np.float64] = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-20)
    return levels


def _mean_db(levels: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))


def _loudest_db(mono: ClipSamples, rate_hz: int) -> float:
    return float(_levels_db(mono, rate_hz // 100).max(initial=-np.inf))


def _trim(mono: ClipSamples, rate_hz: int) -> ClipSamples:
    """Removes the silence at both ends, in steps of 10 ms."""
    frame = rate_hz // 100
    loud = np.flatnonzero(_levels_db(mono, frame) >= _EDGE_DB)
    rest = len(mono) % frame  # an incomplete frame belongs to the last one
    end = (loud[-1] + 1) * frame
    return mono[loud[0] * frame : end + rest if end + rest == len(mono) else end]


def _shorten_pauses(mono: ClipSamples, rate_hz: int) -> ClipSamples:
    """Cuts the middle out of pauses longer than 1 s: every segment would pay for them and be spoken more slowly."""
    frame = rate_hz // 100
    longest = round(_MAX_PAUSE_S * 100)
    quiet = np.pad((_levels_db(mono, frame) < _PAUSE_DB).astype(np.int8), 1)
    starts, ends = np.flatnonzero(np.diff(quiet) == 1), np.flatnonzero(np.diff(quiet) == -1)
    kept = np.ones(len(mono), dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        if end - start > longest:
            kept[(start + longest // 2) * frame : (end - (longest - longest // 2)) * frame] = False
    return mono[kept]


def _resample(speech: ClipSamples, rate_hz: int) -> ClipSamples:
    """Resamples to the model's rate in high quality, and appends the short silence that upstream leaves at the end."""
    sound = speech if rate_hz == RATE_HZ else soxr.resample(speech, rate_hz, RATE_HZ, quality="VHQ")
    sound = sound / max(1.0, float(np.abs(sound).max()))  # a filter may overshoot
    return np.concatenate([sound, np.zeros(round(_TAIL_S * RATE_HZ))])


def _is_syllable(character: str) -> bool:
    return unicodedata.name(character, "").startswith(
        ("CJK UNIFIED", "CJK COMPAT", "HANGUL SYL", "HIRAGANA", "KATAKANA")
    )
