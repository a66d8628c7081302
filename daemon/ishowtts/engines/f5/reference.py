"""Prepares a voice like upstream: the clip as a tensor, its loudness and its words."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import HOP, RATE_HZ, TokenizerName
from ishowtts.engines.f5.duration import text_size
from ishowtts.engines.f5.mel_spectrogram import log_mel
from ishowtts.engines.f5.resampling import resample
from ishowtts.engines.voices.recordings import open_recording, read_samples
from ishowtts.engines.voices.voice_library import Voice
from ishowtts.errors import VoiceError

TARGET_RMS = 0.1
_LONGEST_S = 15.0  # upstream cuts clips at 12 s, but a cut clip would no longer match its words
_SHORTEST_S = 1.0
_COARSEST_HZ = 50  # with a smaller common divisor with 24,000, upstream's resampling filter takes gigabytes
_SILENT_RMS = 1e-4
_WINDOW_S = 22.0  # reference and speech together: the longest input that upstream gives the model
_MOST_BYTES_PER_S = 100.0  # the fastest speech has about 30 bytes of text per second


@dataclass(frozen=True)
class Reference:
    """A clip that the model continues.

    Attributes:
        audio: float32 [1, samples] at 24 kHz, scaled up to RMS 0.1 if it was quieter.
        rms: loudness of the clip before scaling.
        text: the words of the clip, with the end that upstream gives them.
        size: the size of `text` (`duration.text_size`).
        max_segment_bytes: the longest text that fits into one run with this reference. If characters are counted, it
            is their number: a text of so many bytes has at most so many characters.
        mel: log mel spectrogram of the clip, fp32 [frames + 1, 100].
    """

    name: str
    audio: Tensor
    rms: float
    text: str
    size: int
    max_segment_bytes: int
    mel: Tensor

    @property
    def frames(self) -> int:
        """Length of the clip in frames of the spectrogram."""
        return self.audio.shape[-1] // HOP

    @property
    def gain(self) -> float:
        """The factor that makes the generated sound as quiet as the clip."""
        return self.rms / TARGET_RMS if self.rms < TARGET_RMS else 1.0


def read(voice: Voice, device: torch.device, tokenizer: TokenizerName) -> Reference:
    """Read the clip of a voice, and put its spectrogram on `device`.

    Raises:
        VoiceError: it cannot be read, or is silent, too short or too long, or its words do not fit its length.
    """
    with open_recording(voice.audio_path) as clip:
        rate_hz, length_s = clip.samplerate, clip.frames / clip.samplerate
        if math.gcd(rate_hz, RATE_HZ) < _COARSEST_HZ:
            raise VoiceError(
                f"the clip of the voice {voice.name!r} has {rate_hz} samples a second; "
                "export it at 24000, 44100 or 48000"
            )
        # Checked before it is read: a small file may unpack to gigabytes.
        if not _SHORTEST_S <= length_s <= _LONGEST_S:
            raise VoiceError(
                f"the clip of the voice {voice.name!r} is {length_s:.1f} s long; "
                f"give it {_SHORTEST_S:g} to {_LONGEST_S:g} s, best 5 to 12"
            )
        text = end_sentence(voice.text)
        _check_words(voice.name, text, text_size(text, tokenizer), length_s)
        samples = read_samples(clip, _LONGEST_S, "float32")
    prepared = prepare(voice.name, torch.from_numpy(samples.T.copy()), rate_hz, text, tokenizer)
    return replace(prepared, mel=prepared.mel.to(device))


def prepare(name: str, audio: Tensor, rate_hz: int, text: str, tokenizer: TokenizerName = "pinyin") -> Reference:
    """Do what upstream's `infer_batch_process` does first: mono, then loudness, then rate, then a space.

    Args:
        audio: float32 [channels, samples].
        text: the text after upstream's preprocessing (`end_sentence`).

    Raises:
        VoiceError: the clip is silent.
    """
    length_s = audio.shape[-1] / rate_hz
    if audio.shape[0] > 1:
        audio = torch.mean(audio, dim=0, keepdim=True)
    rms = torch.sqrt(torch.mean(torch.square(audio)))
    if float(rms) < _SILENT_RMS:
        raise VoiceError(f"the clip of the voice {name!r} is silent; record it again")
    if rms < TARGET_RMS:
        audio = audio * TARGET_RMS / rms
    if rate_hz != RATE_HZ:
        audio = resample(audio, rate_hz, RATE_HZ)
    most = _longest_text(text_size(text, tokenizer), length_s)
    if len(text[-1].encode()) == 1:
        text = text + " "
    return Reference(name, audio, float(rms), text, text_size(text, tokenizer), most, log_mel(audio[0]))


def _longest_text(size: int, length_s: float) -> int:
    return int(size / length_s * (_WINDOW_S - length_s))


def _check_words(name: str, text: str, size: int, length_s: float) -> None:
    """Refuse a text that nobody can have said in the clip. The daemon would refuse such a voice as implausible."""
    count = len(text.encode())
    if count > _MOST_BYTES_PER_S * length_s:
        how = "many"
    elif _longest_text(size, length_s) < 1:
        how = "few"
    else:
        return
    raise VoiceError(
        f"the words of the voice {name!r} ({count} bytes) are too {how} for its clip of {length_s:.1f} s; "
        "write into its reference.txt what is said in the clip"
    )


def end_sentence(text: str) -> str:
    """End the words like upstream's `preprocess_ref_audio_text`."""
    if text.endswith((". ", "。")):
        return text
    return text + (" " if text.endswith(".") else ". ")
