"""A card's own mixer, as `audio.mixer` names one of its controls.

Through libasound itself: pyalsaaudio 0.11 gives whatever stood in memory for the decibels of a control that tells
none, says nothing where a change fails, and holds every other thread up meanwhile.
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

# ALSA's word for a control that reaches down to silence.
_SILENCE_CDB = -9_999_999
_HANDLES = ("snd_mixer_first_elem", "snd_mixer_elem_next")
_TEXTS = ("snd_mixer_selem_get_name", "snd_strerror")


@dataclass(frozen=True)
class _MixerControl:
    """One of an open mixer, with its ends in steps of its own and, where it tells them, in hundredths of a decibel."""

    element: ctypes.c_void_p
    steps: tuple[int, int]
    cdb: tuple[int, int] | None
    switches: bool


class CardMixer:
    """Volume and mute of a card. Each call takes some milliseconds, more behind a sound server: not for `playback`.

    The mixer is opened for each change and closed at once: one that is held open never tells that its card is gone, nor
    does it work again when the card is back.

    Args:
        device: the PCM that is played on.
        control: as `amixer scontrols` names it.
    """

    def __init__(self, device: str, control: str) -> None:
        self.name = mixer_of(device)
        self.control = control

    def check(self) -> str:
        """What the control can do, in words. Raises SpeakerError where it cannot be used."""
        with self._opened() as control:
            scale = _scale(*control.cdb) if control.cdb else "without decibels"
            return f"{self.control} of {self.name}, {scale}, {'with' if control.switches else 'without'} a mute switch"

    def apply(self, volume: int, *, muted: bool) -> None:
        """Set the volume, 0 to 100 on the curve of `levels.gain_of`, and the switch.

        A control that does not tell decibels is set in per cent of its own steps. One without a switch goes to its
        lowest position instead, where some cards can still be heard.

        Raises:
            SpeakerError: the card or the control is not there.
        """
        alsa = _alsa()
        with self._opened() as control:
            silent = muted or volume <= 0
            if control.switches:
                self._done(alsa.snd_mixer_selem_set_playback_switch_all(control.element, int(not silent)))
            elif silent:
                volume = 0
            if control.cdb is not None:
                level = ctypes.c_long(level_cdb(volume, *control.cdb))
                self._done(alsa.snd_mixer_selem_set_playback_dB_all(control.element, level, -1))
            else:
                step = ctypes.c_long(level_steps(volume, *control.steps))
                self._done(alsa.snd_mixer_selem_set_playback_volume_all(control.element, step))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_MixerControl]:
        alsa, mixer = _alsa(), ctypes.c_void_p()
        self._done(alsa.snd_mixer_open(ctypes.byref(mixer), 0))
        try:
            self._done(alsa.snd_mixer_attach(mixer, self.name.encode()))
            self._done(alsa.snd_mixer_selem_register(mixer, None, None))
            self._done(alsa.snd_mixer_load(mixer))
            controls = dict(_controls(alsa, mixer))
            if self.control not in controls:
                raise SpeakerError(
                    f"{self.name} has no control {self.control} with a playback volume; "
                    f"audio.mixer can be: {', '.join(controls) or 'null alone, for it has none'}"
                )
            yield _control(alsa, controls[self.control])
        finally:
            alsa.snd_mixer_close(mixer)

    def _done(self, status: int) -> None:
        if status < 0:
            why = _alsa().snd_strerror(status).decode(errors="replace")
            raise SpeakerError(f"the mixer {self.name} cannot be used: {why}; mend audio.mixer or audio.device")


def mixer_of(device: str) -> str:
    """The mixer that belongs to a PCM: that of its card, or else of the same name."""
    named = re.search(r"\bCARD=([^,'\"]+)", device)
    if named:
        return f"hw:CARD={named[1]}"
    hardware = re.fullmatch(r"(?:plug)?hw:([^,]+)(?:,.*)?", device)
    return f"hw:{hardware[1]}" if hardware else device


def level_cdb(volume: int, least: int, most: int) -> int:
    """Where a volume of 0 to 100 stands between a control's ends, in hundredths of a decibel.

    100 is the control's top, each step 0.5 dB less, as far down as the control reaches; 0 is its bottom.
    """
    if volume <= 0:
        return least
    return max(least, most + round(100 * RANGE_DB * (min(volume, 100) / 100 - 1)))


def level_steps(volume: int, least: int, most: int) -> int:
    """The same in the steps of a control that tells no decibels, evenly from end to end."""
    return least + round((most - least) * max(0, min(volume, 100)) / 100)


def _scale(least: int, most: int) -> str:
    return f"{'silence' if least <= _SILENCE_CDB else f'{least / 100:g}'} to {most / 100:g} dB"


def _controls(alsa: ctypes.CDLL, mixer: ctypes.c_void_p) -> Iterator[tuple[str, ctypes.c_void_p]]:
    """The controls of an open mixer that have a playback volume; of two with one name the first stays."""
    seen = set()
    element = alsa.snd_mixer_first_elem(mixer)
    while element:
        handle = ctypes.c_void_p(element)
        name = alsa.snd_mixer_selem_get_name(handle).decode(errors="replace")
        if name not in seen and alsa.snd_mixer_selem_has_playback_volume(handle):
            seen.add(name)
            yield name, handle
        element = alsa.snd_mixer_elem_next(handle)


def _control(alsa: ctypes.CDLL, element: ctypes.c_void_p) -> _MixerControl:
    least, most = ctypes.c_long(), ctypes.c_long()
    ends = ctypes.byref(least), ctypes.byref(most)
    alsa.snd_mixer_selem_get_playback_volume_range(element, *ends)
    steps = least.value, most.value
    tells = alsa.snd_mixer_selem_get_playback_dB_range(element, *ends) >= 0 and least.value < most.value
    switches = bool(alsa.snd_mixer_selem_has_playback_switch(element))
    return _MixerControl(element, steps, (least.value, most.value) if tells else None, switches)


@lru_cache(maxsize=1)
def _alsa() -> ctypes.CDLL:
    """Raises SpeakerError where ALSA's library is not installed."""
    alsa = library()
    for name in _HANDLES:
        getattr(alsa, name).restype = ctypes.c_void_p
    for name in _TEXTS:
        getattr(alsa, name).restype = ctypes.c_char_p
    return alsa
