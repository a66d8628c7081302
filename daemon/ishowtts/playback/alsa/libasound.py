"""The few calls of ALSA's library that playback needs, by ctypes.

pyalsaaudio 0.11 opens a card that is busy by waiting for it without end, takes the nearest rate for the one that was
asked for, and has no `snd_pcm_delay`.
"""

from __future__ import annotations

import ctypes
import errno
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p
from dataclasses import dataclass
from functools import lru_cache

from ishowtts.errors import SpeakerError

_LIBRARY = "libasound.so.2"
_PLAYBACK, _INTERLEAVED = 0, 3
_NONBLOCK, _NO_AUTO_RESAMPLE = 1, 0x10000
_DISCONNECTED = 8
_S16_LE = 2
_RATES_HZ = (48_000, 44_100, 96_000, 88_200, 192_000, 32_000)
_Quiet = ctypes.CFUNCTYPE(None, c_char_p, c_int, c_char_p, c_int, c_char_p)
# What went wrong is told by each call; the library would print it once more, at each try.
_quiet = _Quiet(lambda *_: None)


@dataclass(frozen=True)
class PcmFormat:
    """What a device takes."""

    rate_hz: int
    channels: int
    period: int
    """In frames: a device takes sound, and plays it, by whole periods."""
    buffer: int
    """In frames."""


class Pcm:
    """An open playback device. Its calls return at once but for `wait` and `drain`; OSError tells what went wrong.

    Args:
        name: as `aplay -L` shows it.
        rate_hz: what it is opened at where it takes that, else the nearest of the usual rates.
        period_s, periods: of its buffer, about.
    """

    def __init__(self, name: str, rate_hz: int, period_s: float, periods: int) -> None:
        self.ran_dry = False  # whether the buffer was found empty since this was lowered
        self._handle = c_void_p()
        # Blocking, the open of a card that is busy would wait until it is free.
        _check(_lib().snd_pcm_open(byref(self._handle), name.encode(), _PLAYBACK, _NONBLOCK | _NO_AUTO_RESAMPLE))
        try:
            self.shape = self._shaped(rate_hz, period_s, periods)
        except BaseException:
            self.close()
            raise

    def write(self, frames: bytes) -> int:
        """Hand over whole frames, as many as there is room for; how many were taken."""
        taken = _lib().snd_pcm_writei(self._opened(), frames, len(frames) // (2 * self.shape.channels))
        return 0 if taken == -errno.EAGAIN else _check(taken)

    def wait(self, timeout_s: float) -> bool:
        """Until there is room for a period; False where there was none in time."""
        return bool(_check(_lib().snd_pcm_wait(self._opened(), int(timeout_s * 1000))))

    def delay(self) -> int:
        """Frames that were written and are not yet heard, as far as the device knows; 0 after an underrun.

        The larger of two counts: what stands in the buffer, and what the device says of itself, which may count what
        lies behind the buffer (a USB card's transfers, a server's own) and may know nothing.
        """
        said = c_long()
        result = _lib().snd_pcm_delay(self._opened(), byref(said))
        return max(self.queued(), 0 if result < 0 else said.value)

    def queued(self) -> int:
        """Frames that stand in the buffer; 0 where it has run dry."""
        room = _lib().snd_pcm_avail(self._opened())
        if room in (-errno.EPIPE, -errno.ESTRPIPE):
            # All was heard; or nothing answers, which looks the same until the device is made ready.
            self.prepare()
            self.ran_dry = True
            return 0
        return max(0, self.shape.buffer - _check(room))

    def prepare(self) -> None:
        """Ready again, after an underrun, `drain` or `drop`."""
        _check(_lib().snd_pcm_prepare(self._opened()))

    def disconnected(self) -> bool:
        """Whether the device is known to have gone."""
        return bool(_lib().snd_pcm_state(self._opened()) == _DISCONNECTED)

    def drain(self) -> None:
        """Return once all has been heard."""
        handle = self._opened()
        _check(_lib().snd_pcm_nonblock(handle, 0))
        drained = _lib().snd_pcm_drain(handle)
        _check(_lib().snd_pcm_nonblock(handle, 1))
        _check(drained)
        self.prepare()
        self.ran_dry = False

    def drop(self) -> None:
        """Forget what has not been heard."""
        _check(_lib().snd_pcm_drop(self._opened()))
        self.prepare()
        self.ran_dry = False

    def close(self) -> None:
        """Release it. Idempotent."""
        handle, self._handle = self._handle, c_void_p()
        if handle:
            _lib().snd_pcm_close(handle)

    def _opened(self) -> c_void_p:
        if not self._handle:
            raise OSError(errno.EBADF, "it is not open")
        return self._handle

    def _shaped(self, rate_hz: int, period_s: float, periods: int) -> PcmFormat:
        lib, pcm, params = _lib(), self._handle, c_void_p()
        _check(lib.snd_pcm_hw_params_malloc(byref(params)))
        try:
            _check(lib.snd_pcm_hw_params_any(pcm, params))
            _check(lib.snd_pcm_hw_params_set_access(pcm, params, _INTERLEAVED))
            if lib.snd_pcm_hw_params_set_format(pcm, params, _S16_LE) < 0:
                raise OSError(errno.EINVAL, "it takes no samples of 16 bits, as its plughw: name does")
            channels = c_uint(1)
            _check(lib.snd_pcm_hw_params_set_channels_near(pcm, params, byref(channels)))
            rate = c_uint(next((r for r in (rate_hz, *_RATES_HZ) if self._takes(params, r)), rate_hz))
            _check(lib.snd_pcm_hw_params_set_rate_near(pcm, params, byref(rate), None))
            period, buffer = c_ulong(int(rate.value * period_s)), c_ulong(int(rate.value * period_s) * periods)
            _check(lib.snd_pcm_hw_params_set_period_size_near(pcm, params, byref(period), None))
            _check(lib.snd_pcm_hw_params_set_buffer_size_near(pcm, params, byref(buffer)))
            _check(lib.snd_pcm_hw_params(pcm, params))
        finally:
            lib.snd_pcm_hw_params_free(params)
        return PcmFormat(rate.value, channels.value, period.value, buffer.value)

    def _takes(self, params: c_void_p, rate_hz: int) -> bool:
        return bool(_lib().snd_pcm_hw_params_test_rate(self._handle, params, rate_hz, 0) == 0)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(-result, (_lib().snd_strerror(result) or b"unknown error").decode(errors="replace"))
    return result


def library() -> ctypes.CDLL:
    """ALSA's library, anew for each caller, who says the types. Raises SpeakerError where it is not installed."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        # Its package has one name or another; what needs it has one.
        raise SpeakerError(f"{_LIBRARY} is not installed; apt-get install alsa-utils") from error


@lru_cache(maxsize=1)
def _lib() -> ctypes.CDLL:
    """The library, with the types of what is called."""
    lib = library()
    uints, ulongs = POINTER(c_uint), POINTER(c_ulong)
    calls: dict[str, tuple[object, ...]] = {
        "open": (POINTER(c_void_p), c_char_p, c_int, c_int),
        "close": (c_void_p,),
        "nonblock": (c_void_p, c_int),
        "state": (c_void_p,),
        "prepare": (c_void_p,),
        "drain": (c_void_p,),
        "drop": (c_void_p,),
        "wait": (c_void_p, c_int),
        "delay": (c_void_p, POINTER(c_long)),
        "hw_params": (c_void_p, c_void_p),
        "hw_params_malloc": (POINTER(c_void_p),),
        "hw_params_any": (c_void_p, c_void_p),
        "hw_params_set_access": (c_void_p, c_void_p, c_int),
        "hw_params_set_format": (c_void_p, c_void_p, c_int),
        "hw_params_test_rate": (c_void_p, c_void_p, c_uint, c_int),
        "hw_params_set_rate_near": (c_void_p, c_void_p, uints, POINTER(c_int)),
        "hw_params_set_channels_near": (c_void_p, c_void_p, uints),
        "hw_params_set_period_size_near": (c_void_p, c_void_p, ulongs, POINTER(c_int)),
        "hw_params_set_buffer_size_near": (c_void_p, c_void_p, ulongs),
    }
    for name, types in calls.items():
        call = getattr(lib, f"snd_pcm_{name}")
        call.argtypes, call.restype = types, c_int
    lib.snd_pcm_hw_params_free.argtypes, lib.snd_pcm_hw_params_free.restype = (c_void_p,), None
    lib.snd_pcm_avail.argtypes, lib.snd_pcm_avail.restype = (c_void_p,), c_long
    lib.snd_pcm_writei.argtypes, lib.snd_pcm_writei.restype = (c_void_p, c_char_p, c_ulong), c_long
    lib.snd_strerror.argtypes, lib.snd_strerror.restype = (c_int,), c_char_p
    lib.snd_lib_error_set_handler.argtypes, lib.snd_lib_error_set_handler.restype = (_Quiet,), c_int
    lib.snd_lib_error_set_handler(_quiet)
    return lib
