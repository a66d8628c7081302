"""Reads a card's own mixer, and says whether it lets the sound through: a switch that is off, or a volume at 0 %."""

from __future__ import annotations

import ctypes
import logging
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ishowtts.errors import SpeakerError
from ishowtts.playback.alsa.card_mixer import elements, mixer_of, opened_mixer
from ishowtts.playback.alsa.sound_cards import is_hdmi
from ishowtts.playback.audibility import Silence, SilentCause

log = logging.getLogger(__name__)

_CHANNELS = 32  # the highest number that ALSA gives to a channel of a control, plus one
_DIGITAL = "IEC958"
# All sound of a card goes through each of these.
_IN_SERIES = ("Master", "PCM", "Digital")
# The sound goes out at one or more of these. Nothing is heard only if all of them are silent.
_OUTPUTS = ("Speaker", "Headphone", "Headset", "Front", "Line Out", "Lineout", "Earpiece")
_USUAL_VOLUME = "80%"


@dataclass(frozen=True)
class PlaybackControl:
    """A control of a card's mixer that acts on playback.

    Attributes:
        off: Whether its switch is off on all channels.
        at_0: Whether its volume is at 0 % on all channels.
    """

    name: str
    off: bool = False
    at_0: bool = False

    @property
    def silent(self) -> bool:
        """Whether no sound goes through it. At 0 % some cards still play softly."""
        return self.off or self.at_0


def card_silence(device: str, own_control: str | None = None) -> Silence | None:
    """Returns why the mixer of a device's card lets no sound through; `None` if it does, or if it cannot be read.

    It takes milliseconds, or more with a sound server.

    Args:
        device: Name of the PCM.
        own_control: The control through which the appliance sets its own volume. Its volume is not looked at.
    """
    if device in ("auto", "silent") or device.startswith(("wav:", "pipe:")):
        return None
    mixer = mixer_of(device)
    try:
        controls = read_controls(mixer)
    except SpeakerError as error:
        log.debug("the mixer of %s is unknown: %s", device, error)
        return None
    return silence_of(mixer, controls, hdmi=is_hdmi(device), own_control=own_control)


def read_controls(mixer: str) -> list[PlaybackControl]:
    """Reads all controls that act on playback. Raises SpeakerError if the mixer cannot be used."""
    with opened_mixer(mixer) as (alsa, handle):
        return [
            control
            for name, element in elements(alsa, handle)
            if (control := _playback_control(alsa, name, element)) is not None
        ]


def silence_of(
    mixer: str, controls: Sequence[PlaybackControl], *, hdmi: bool = False, own_control: str | None = None
) -> Silence | None:
    """Returns why these controls let no sound through; `None` if they do.

    A card whose controls have other names is judged only if it has a single one.

    Args:
        mixer: Name of the mixer, for the sentence.
        controls: Its controls that act on playback.
        hdmi: Whether the sound goes to HDMI or DisplayPort, which has only switches named IEC958.
        own_control: The control through which the appliance sets its own volume. Its volume is not looked at.
    """
    controls = [replace(one, at_0=False) if one.name == own_control else one for one in controls]
    digital = [control for control in controls if control.name == _DIGITAL]
    analog = [] if hdmi else [control for control in controls if control.name != _DIGITAL]
    in_series = [control for control in analog if control.name in _IN_SERIES]
    outputs = [control for control in analog if control.name in _OUTPUTS]
    if not analog:
        outputs = digital
    elif len(analog) == 1:
        in_series, outputs = analog, []
    silent = [control for control in in_series if control.silent]
    if all(control.silent for control in outputs):
        silent += outputs
    return _sentence(mixer, silent) if silent else None


def _sentence(mixer: str, silent: list[PlaybackControl]) -> Silence:
    """Names each silent control once, and the command for the first one."""
    first, names = silent[0], list(dict.fromkeys(control.name for control in silent))
    off = any(control.off for control in silent)
    values = [*([_USUAL_VOLUME] if first.at_0 else []), *(["unmute"] if first.off else [])]
    fix = shlex.join(["amixer", "-D", mixer, "sset", first.name, *values])
    state = "is muted" if off else "is at 0 %"
    return Silence(
        SilentCause.CARD_MUTED if off else SilentCause.CARD_VOLUME_0,
        f"the sound card {mixer} {state} ({', '.join(names)}), so nothing is heard; run `{fix}`",
    )


def _playback_control(alsa: ctypes.CDLL, name: str, element: ctypes.c_void_p) -> PlaybackControl | None:
    """Reads one control; `None` if it does not act on playback."""
    channels = [number for number in range(_CHANNELS) if alsa.snd_mixer_selem_has_playback_channel(element, number)]
    has_switch = bool(alsa.snd_mixer_selem_has_playback_switch(element))
    has_volume = bool(alsa.snd_mixer_selem_has_playback_volume(element))
    if not channels or not (has_switch or has_volume):
        return None
    off = has_switch and not any(
        _value(alsa.snd_mixer_selem_get_playback_switch, element, number, ctypes.c_int()) for number in channels
    )
    at_0 = False
    if has_volume:
        lowest, highest = ctypes.c_long(), ctypes.c_long()
        alsa.snd_mixer_selem_get_playback_volume_range(element, ctypes.byref(lowest), ctypes.byref(highest))
        at_0 = lowest.value < highest.value and all(
            _value(alsa.snd_mixer_selem_get_playback_volume, element, number, ctypes.c_long()) == lowest.value
            for number in channels
        )
    return PlaybackControl(name, off, at_0)


def _value(
    read: Callable[..., int], element: ctypes.c_void_p, channel: int, value: ctypes.c_int | ctypes.c_long
) -> int:
    """Reads the value of one channel into `value`, whose type is that of the call. Unreadable counts as 1."""
    return int(value.value) if read(element, channel, ctypes.byref(value)) >= 0 else 1
