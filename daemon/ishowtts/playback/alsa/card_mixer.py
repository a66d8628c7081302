"""Sets volume and mute in a card's mixer, through the control that `audio.mixer` names.

It uses libasound directly. pyalsaaudio 0.11 returns uninitialised memory for the decibels of a control that has none,
does not report a change that failed, and blocks every other thread during a call.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ishowtts.errors import SpeakerError
from ishowtts.playback.alsa.libasound import library
from ishowtts.playback.volume_gain import RANGE_DB

# ALSA's value for a control that reaches down to silence.
_SILENCE_CDB = -9_999_999
_HANDLES = ("snd_mixer_first_elem", "snd_mixer_elem_next")
_TEXTS = ("snd_mixer_selem_get_name", "snd_strerror")


@dataclass(frozen=True)
class _MixerControl:
    """A control of an open mixer: its range in steps and, if it has decibels, in hundredths of a decibel."""

    element: ctypes.c_void_p
    steps: tuple[int, int]
    cdb: tuple[int, int] | None
    has_switch: bool


class CardMixer:
    """Volume and mute of a card. A call takes milliseconds, or more with a sound server: never call it in `playback`.

    The mixer is opened for each change and closed at once. A mixer that stays open never reports that its card is gone,
    and does not work again when the card is back.

    Args:
        device: The PCM that plays the sound.
        control: Name of the control, as in `amixer scontrols`.
    """

    def __init__(self, device: str, control: str) -> None:
        self.name = mixer_of(device)
        self.control = control

    def check(self) -> str:
        """Returns a description of the control. Raises SpeakerError if it cannot be used."""
        with self._opened() as control:
            scale = _scale(*control.cdb) if control.cdb else "without decibels"
            return (
                f"{self.control} of {self.name}, {scale}, {'with' if control.has_switch else 'without'} a mute switch"
            )

    def apply(self, volume: int, *, muted: bool) -> None:
        """Sets the volume, 0 to 100 on the curve of `volume_gain.gain_of`, and the mute switch.

        A control without decibels is set in per cent of its steps. A control without a switch goes to its lowest
        position when muted; some cards are still audible there.

        Raises:
            SpeakerError: The card or the control does not exist.
        """
        alsa = _alsa()
        with self._opened() as control:
            silent = muted or volume <= 0
            if control.has_switch:
                self._check(alsa.snd_mixer_selem_set_playback_switch_all(control.element, int(not silent)))
            elif silent:
                volume = 0
            if control.cdb is not None:
                level = ctypes.c_long(level_cdb(volume, *control.cdb))
                self._check(alsa.snd_mixer_selem_set_playback_dB_all(control.element, level, -1))
            else:
                step = ctypes.c_long(level_steps(volume, *control.steps))
                self._check(alsa.snd_mixer_selem_set_playback_volume_all(control.element, step))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_MixerControl]:
        with opened_mixer(self.name) as (alsa, mixer):
            controls = dict(_controls(alsa, mixer))
            if self.control not in controls:
                raise SpeakerError(
                    f"{self.name} has no control {self.control} with a playback volume; "
                    f"audio.mixer can be: {', '.join(controls) or 'null alone, for it has none'}"
                )
            yield _control(alsa, controls[self.control])

    def _check(self, status: int) -> None:
        _check(self.name, status)


@contextlib.contextmanager
def opened_mixer(name: str) -> Iterator[tuple[ctypes.CDLL, ctypes.c_void_p]]:
    """Opens a mixer and yields ALSA's library and the handle. Raises SpeakerError if the mixer cannot be used."""
    alsa, mixer = _alsa(), ctypes.c_void_p()
    _check(name, alsa.snd_mixer_open(ctypes.byref(mixer), 0))
    try:
        _check(name, alsa.snd_mixer_attach(mixer, name.encode()))
        _check(name, alsa.snd_mixer_selem_register(mixer, None, None))
        _check(name, alsa.snd_mixer_load(mixer))
        yield alsa, mixer
    finally:
        alsa.snd_mixer_close(mixer)


def elements(alsa: ctypes.CDLL, mixer: ctypes.c_void_p) -> Iterator[tuple[str, ctypes.c_void_p]]:
    """Yields name and handle of each control of an open mixer. Several may have one name."""
    element = alsa.snd_mixer_first_elem(mixer)
    while element:
        handle = ctypes.c_void_p(element)
        yield alsa.snd_mixer_selem_get_name(handle).decode(errors="replace"), handle
        element = alsa.snd_mixer_elem_next(handle)


def _check(name: str, status: int) -> None:
    if status < 0:
        why = _alsa().snd_strerror(status).decode(errors="replace")
        raise SpeakerError(f"the mixer {name} cannot be used: {why}; fix audio.mixer or audio.device")


def mixer_of(device: str) -> str:
    """Returns the name of the mixer of a PCM: that of its card, or else the name of the PCM."""
    named = re.search(r"\bCARD=([^,'\"]+)", device)
    if named:
        return f"hw:CARD={named[1]}"
    hardware = re.fullmatch(r"(?:plug)?hw:([^,]+)(?:,.*)?", device)
    return f"hw:{hardware[1]}" if hardware else device


def level_cdb(volume: int, minimum: int, maximum: int) -> int:
    """Converts a volume of 0 to 100 to hundredths of a decibel within a control's range.

    100 is the control's maximum. Each step below is 0.5 dB less, down to the control's minimum; 0 is the minimum.
    """
    if volume <= 0:
        return minimum
    return max(minimum, maximum + round(100 * RANGE_DB * (min(volume, 100) / 100 - 1)))


def level_steps(volume: int, minimum: int, maximum: int) -> int:
    """Converts a volume of 0 to 100 to the steps of a control without decibels, linearly over its range."""
    return minimum + round((maximum - minimum) * max(0, min(volume, 100)) / 100)


def _scale(minimum: int, maximum: int) -> str:
    return f"{'silence' if minimum <= _SILENCE_CDB else f'{minimum / 100:g}'} to {maximum / 100:g} dB"


def _controls(alsa: ctypes.CDLL, mixer: ctypes.c_void_p) -> Iterator[tuple[str, ctypes.c_void_p]]:
    """Yields the controls of an open mixer that have a playback volume. If two have one name, only the first."""
    seen = set()
    for name, handle in elements(alsa, mixer):
        if name not in seen and alsa.snd_mixer_selem_has_playback_volume(handle):
            seen.add(name)
            yield name, handle


def _control(alsa: ctypes.CDLL, element: ctypes.c_void_p) -> _MixerControl:
    minimum, maximum = ctypes.c_long(), ctypes.c_long()
    ends = ctypes.byref(minimum), ctypes.byref(maximum)
    alsa.snd_mixer_selem_get_playback_volume_range(element, *ends)
    steps = minimum.value, maximum.value
    has_decibels = alsa.snd_mixer_selem_get_playback_dB_range(element, *ends) >= 0 and minimum.value < maximum.value
    has_switch = bool(alsa.snd_mixer_selem_has_playback_switch(element))
    return _MixerControl(element, steps, (minimum.value, maximum.value) if has_decibels else None, has_switch)


@lru_cache(maxsize=1)
def _alsa() -> ctypes.CDLL:
    """Returns ALSA's library with the types of the mixer calls. Raises SpeakerError if it is not installed."""
    alsa = library()
    for name in _HANDLES:
        getattr(alsa, name).restype = ctypes.c_void_p
    for name in _TEXTS:
        getattr(alsa, name).restype = ctypes.c_char_p
    return alsa
