"""The section `audio:` of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from ishowtts.config.section import Section as _Section
from ishowtts.limits import NAME, VOLUME

_MAX_DEVICE_CHARS = 1000
_NO_WAV = (".wav", ".wave", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aiff")


def audio_device(device: str) -> str:
    """Check the name of a sound device and return it. Raises ValueError if no device can have it."""
    if not device.strip():
        raise ValueError("must be auto, silent, wav:PATH, pipe:PATH or the name of an ALSA PCM")
    if device != device.strip() or not device.isprintable():
        # ALSA reads a name up to its first NUL, and would open another device than the one that is shown.
        raise ValueError("must not begin or end with a blank, nor hold line breaks or other control characters")
    if device.startswith(("file:", "tee:")):
        raise ValueError("could overwrite any file that it names; use wav:PATH")
    if len(device) > _MAX_DEVICE_CHARS:
        raise ValueError(f"must be {_MAX_DEVICE_CHARS} characters at most")
    if (lower := device.lower()) != device and lower in ("auto", "silent"):
        raise ValueError(f"must be written {lower}, in small letters")
    if lower.startswith("wav:"):
        _wav(device)
    if lower.startswith("pipe:"):
        _pipe(device)
    return device


def _wav(device: str) -> None:
    kind, path = device[:4], device[4:]
    if kind != "wav:":
        raise ValueError(f"must be written wav:{path}, in small letters")
    if not path:
        raise ValueError("wav: needs a path, as in wav:/var/lib/ishowtts/speech.wav")
    if (suffix := Path(path).suffix) != ".wav" and suffix.lower() in _NO_WAV:
        raise ValueError(f"wav: writes a .wav file, or files in a folder; it cannot write {suffix}")


def _pipe(device: str) -> None:
    kind, path = device[:5], device[5:]
    if kind != "pipe:":
        raise ValueError(f"must be written pipe:{path}, in small letters")
    if not path:
        raise ValueError("pipe: needs a path, as in pipe:/run/ishowtts-snapcast")
    if "?" in path:
        raise ValueError("pipe: takes a path alone; name, sampleformat and others belong into snapserver.conf")


def _when_lost(what: str, others: ValidationInfo) -> str:
    if what == "auto":
        raise ValueError("must be wait, drop or a device by its name: auto may be the same device")
    if (lower := what.strip().lower()) in ("wait", "drop"):
        if lower != what:
            raise ValueError(f"must be written {lower}, in small letters")
        return what
    if what == others.data.get("device"):
        raise ValueError("must be wait, drop or another device than audio.device")
    return audio_device(what)


def _by_name(devices: dict[str, AudioDeviceSection]) -> dict[str, AudioDeviceSection]:
    for name in devices:
        if name == "auto" or not name.strip():
            raise ValueError(f"must have device names as keys, as `ishowtts devices` shows them; {name!r} is not one")
    return devices


def _chime(chime: object) -> object:
    if not isinstance(chime, bool) and not (isinstance(chime, str) and NAME.fullmatch(chime)):
        raise ValueError("must be true, false or the name of a chime: 1 to 64 characters of a-z, 0-9, _ and -")
    if chime in ("true", "false"):
        raise ValueError(f"must be written {chime}, without quotes")
    return chime


_NULL_HAS_A_MEANING = ("mixer", "wake_s", "release_s")
_Release = Annotated[float | None, Field(gt=0, le=86_400)]


class AudioDeviceSection(_Section):
    """Settings of one device. Keys that are not set have the value for all devices."""

    mixer: str | None = None
    wake_s: Annotated[float | None, Field(ge=0, le=10)] = None
    idle_s: Annotated[float | None, Field(gt=0, le=86_400)] = None
    release_s: _Release = None


class AudioSection(_Section):
    """Sound device, volume and processing. `chime` applies to lines that do not set it.

    `wake_s: null` is decided by the kind of the device.
    """

    device: Annotated[str, AfterValidator(audio_device)] = "auto"
    volume: int = Field(80, ge=VOLUME[0], le=VOLUME[1])
    mixer: Annotated[str | None, Field(min_length=1)] = None
    pause_s: float = Field(0.3, ge=0, le=60)
    wake_s: Annotated[float | None, Field(ge=0, le=10)] = None
    idle_s: float = Field(5, gt=0, le=86_400)
    release_s: _Release = 10
    when_lost: Annotated[str, AfterValidator(_when_lost)] = "wait"
    devices: Annotated[dict[str, AudioDeviceSection], AfterValidator(_by_name)] = Field({}, max_length=100)
    loudness_lufs: float | None = Field(-16, ge=-40, le=-6)
    peak_dbtp: float | None = Field(-1, ge=-12, le=0)
    chime: Annotated[bool | str, BeforeValidator(_chime)] = False
    chimes_dir: Path | None = None
    cache_mb: int = Field(500, ge=0, le=1_000_000)
    record_dir: Path | None = None
    record_mb: int = Field(1000, ge=1, le=10_000_000)

    def of(self, device: str) -> AudioSection:
        """The settings of one device, by the name that `ishowtts devices` and telemetry show."""
        own = self.devices.get(device, AudioDeviceSection())
        changed = {name: getattr(own, name) for name in own.model_fields_set}
        # null has a meaning only for keys that can be null for all devices.
        return self.model_copy(
            update={name: value for name, value in changed.items() if value is not None or name in _NULL_HAS_A_MEANING}
        )
