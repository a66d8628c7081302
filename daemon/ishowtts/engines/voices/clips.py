"""Turns a recording into the clip of a voice, and says what is wrong with it. Imports no torch."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from ishowtts.engines.voices.recordings import open_recording, read_samples
from ishowtts.errors import VoiceError

ClipSamples = NDArray[np.float64]
"""[samples] or [samples, channels], full scale at 1."""

RATE_HZ = 24_000
SHORTEST_S = 2.0
LONGEST_S = 12.0
_LONGEST_RECORDING_S = 120.0
_EDGE_DB = -42.0  # as upstream cuts its references, in frames of 10 ms
_PAUSE_DB = -50.0
_LONGEST_PAUSE_S = 1.0
_TAIL_S = 0.05
_QUIET_DB = -30.0
_DIGITAL_SILENCE_DB = -90.0
_FULL_SCALE = 0.999
_CLIPPED_RUN = 3
_CLIPPED_SHARE = 1e-4
_POOR_SNR_DB = 20.0


@dataclass(frozen=True)
class VoiceClip:
    """A recording made fit to be a voice's.

    Attributes:
        samples: float64 [samples] at 24 kHz, mono, within full scale.
        recorded_s: length of the recording.
        trimmed_s: silence that was cut off both ends.
        pauses_s: silence that was cut out of pauses longer than 1 s.
        rate_hz, channels: of the recording.
        clipped_share: share of the recording's samples that stand at full scale, three or more in a row.
        snr_db: speech against the quietest twentieth of the recording; `None` where all silence is digital.
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
        """Length of what is left."""
        return len(self.samples) / RATE_HZ

    def warnings(self) -> list[str]:
        """What a listener may hear, one sentence each; the clip can be used all the same."""
        found = []
        if self.clipped_share > _CLIPPED_SHARE:
            found.append(
                f"the recording is clipped ({self.clipped_share:.2%} of its samples): the voice will crackle; "
                "record it again with less gain"
            )
        if self.snr_db is not None and self.snr_db < _POOR_SNR_DB:
            found.append(
                f"the recording is noisy (speech only {self.snr_db:.0f} dB above the noise): the voice will be, too; "
                "record it in a quieter place, nearer to the microphone"
            )
        if self.rate_hz < RATE_HZ:
            found.append(
                f"the recording has {self.rate_hz} samples a second and so lacks high tones; "
                f"one of {RATE_HZ} or more sounds clearer"
            )
        return found


def mend(path: Path) -> VoiceClip:
    """Read a recording (WAV, FLAC, OGG or MP3): one channel, no silence at the ends, short pauses, 24 kHz.

    Too long a recording is refused and not cut, since its words would no longer be those that are said in it.

    Raises:
        VoiceError: it cannot be read, or is silent, too quiet, too short or too long.
    """
    recorded, rate_hz = _read(path)
    mono: ClipSamples = recorded.mean(axis=1)
    if _loudest_db(mono, rate_hz) < _QUIET_DB:
        raise VoiceError(f"{path} is silent or far too quiet; record it again with more gain, nearer to the microphone")
    edges = _trim(mono, rate_hz)
    speech = _shorten_pauses(edges, rate_hz)
    length_s = len(speech) / rate_hz + _TAIL_S
    if not SHORTEST_S <= length_s <= LONGEST_S:
        raise VoiceError(
            f"{path} holds {length_s:.1f} s of speech without the silence at its ends; a clip is {SHORTEST_S:g} to "
            f"{LONGEST_S:g} s long: "
            + (
                "cut it at the end of a sentence, and its words likewise"
                if length_s > LONGEST_S
                else "record a whole sentence or two"
            )
        )
    return VoiceClip(
        samples=_resample(speech, rate_hz),
        recorded_s=len(mono) / rate_hz,
        trimmed_s=(len(mono) - len(edges)) / rate_hz,
        pauses_s=(len(edges) - len(speech)) / rate_hz,
        rate_hz=rate_hz,
        channels=recorded.shape[1],
        clipped_share=clipped_share(recorded),
        snr_db=snr_db(mono, rate_hz),
    )


def length_s(path: Path) -> float:
    """Length of a sound file, by its header. Raises VoiceError where it is none."""
    with open_recording(path) as sound:
        return float(sound.frames / sound.samplerate)


def clipped_share(recorded: ClipSamples) -> float:
    """Share of the samples ([samples, channels]) that stand at full scale, three or more in a row."""
    full = np.abs(recorded) >= _FULL_SCALE
    padded = np.pad(full.astype(np.int8), ((1, 1), (0, 0)))
    steps = np.diff(padded, axis=0)
    clipped = 0
    for channel in range(full.shape[1]):
        lengths = np.flatnonzero(steps[:, channel] == -1) - np.flatnonzero(steps[:, channel] == 1)
        clipped += int(lengths[lengths >= _CLIPPED_RUN].sum())
    return clipped / full.size


def snr_db(mono: ClipSamples, rate_hz: int) -> float | None:
    """Level of the louder half of the 20 ms frames against that of the quietest twentieth.

    Frames of digital silence are left out: they were made by a program, and tell nothing of the room.
    """
    levels = _levels_db(mono, rate_hz // 50)
    levels = np.sort(levels[levels > _DIGITAL_SILENCE_DB])
    quietest = levels[: len(levels) // 20]
    if not len(quietest):
        return None
    return _mean_db(levels[len(levels) // 2 :]) - _mean_db(quietest)


def compare(text: str, length_s: float) -> str | None:
    """What is implausible about these words for a clip of this length; `None` where nothing is.

    Scripts whose characters are syllables go by characters, all others by letters: 2 to 10 and 5 to 25 a second.
    """
    syllables = sum(_is_syllable(character) for character in text)
    letters = sum(not _is_syllable(character) for character in " ".join(text.split()))
    least_s, most_s = syllables / 10 + letters / 25, syllables / 2 + letters / 5
    if least_s <= length_s <= most_s:
        return None
    few = length_s > most_s
    return (
        f"the clip is {length_s:.1f} s long, and the words are {'too few' if few else 'too many'} for that "
        f"(they take {least_s:.1f} to {most_s:.1f} s): write down "
        f"{'all that is said in it' if few else 'only what is said in it'}, word by word, numbers as words"
    )


def cost_ratio(reference_s: float, speech_s: float = 5.0, beside_s: float = 3.0) -> float:
    """What a segment of `speech_s` costs with this clip, in terms of one with a clip of `beside_s`."""
    return _work(reference_s + speech_s) / _work(beside_s + speech_s)


def _work(length_s: float) -> float:
    """GFLOP of one branch of one evaluation of F5TTS_v1_Base over reference and speech together."""
    return 35.5 * length_s + 0.79 * length_s**2


def _read(path: Path) -> tuple[ClipSamples, int]:
    """Samples [samples, channels] and rate."""
    with open_recording(path) as sound:
        return read_samples(sound, _LONGEST_RECORDING_S, "float64"), int(sound.samplerate)


def _levels_db(mono: ClipSamples, frame: int) -> NDArray[np.float64]:
    """Level of each whole frame, in dB of full scale."""
    frames = mono[: len(mono) // frame * frame].reshape(-1, frame)
    levels: NDArray[np.float64] = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-20)
    return levels


def _mean_db(levels: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))


def _loudest_db(mono: ClipSamples, rate_hz: int) -> float:
    return float(_levels_db(mono, rate_hz // 100).max(initial=-np.inf))


def _trim(mono: ClipSamples, rate_hz: int) -> ClipSamples:
    """Without the silence at both ends, in steps of 10 ms."""
    frame = rate_hz // 100
    loud = np.flatnonzero(_levels_db(mono, frame) >= _EDGE_DB)
    rest = len(mono) % frame  # what is less than a frame stays with the last one
    end = (loud[-1] + 1) * frame
    return mono[loud[0] * frame : end + rest if end + rest == len(mono) else end]


def _shorten_pauses(mono: ClipSamples, rate_hz: int) -> ClipSamples:
    """Cut the middle out of pauses longer than 1 s: they would be paid for in every segment, and slow its pace."""
    frame = rate_hz // 100
    longest = round(_LONGEST_PAUSE_S * 100)
    quiet = np.pad((_levels_db(mono, frame) < _PAUSE_DB).astype(np.int8), 1)
    starts, ends = np.flatnonzero(np.diff(quiet) == 1), np.flatnonzero(np.diff(quiet) == -1)
    kept = np.ones(len(mono), dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        if end - start > longest:
            kept[(start + longest // 2) * frame : (end - (longest - longest // 2)) * frame] = False
    return mono[kept]


def _resample(speech: ClipSamples, rate_hz: int) -> ClipSamples:
    """At the model's own rate, once and well, with the short silence at its end that upstream leaves there."""
    sound = speech if rate_hz == RATE_HZ else soxr.resample(speech, rate_hz, RATE_HZ, quality="VHQ")
    sound = sound / max(1.0, float(np.abs(sound).max()))  # a filter may overshoot
    return np.concatenate([sound, np.zeros(round(_TAIL_S * RATE_HZ))])


def _is_syllable(character: str) -> bool:
    return unicodedata.name(character, "").startswith(
        ("CJK UNIFIED", "CJK COMPAT", "HANGUL SYL", "HIRAGANA", "KATAKANA")
    )
