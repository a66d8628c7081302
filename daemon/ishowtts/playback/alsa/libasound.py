"""Bindings (ctypes) for the few calls of ALSA's library that playback needs.

pyalsaaudio 0.11 waits for ever when it opens a busy card, silently uses the nearest rate instead of the requested one,
and has no `snd_pcm_delay`.
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
# Each call reports its error. Without this handler the library would also print it, at each attempt.
_quiet = _Quiet(lambda *_: None)


@dataclass(frozen=True)
class PcmFormat:
    """The format and the buffer of an open device."""

    rate_hz: int
    channels: int
    period: int
    """Frames per period. A device takes and plays sound in whole periods."""
    buffer: int
    """Size of the buffer, in frames."""


class Pcm:
    """An open playback device. All calls except `wait` and `drain` return at once. They raise OSError.

    Args:
        name: Name of the PCM, as in `aplay -L`.
        rate_hz: The wanted sample rate. If the device refuses it, the first accepted one of `_RATES_HZ` is used.
        period_s: Approximate length of a period.
        periods: Approximate number of periods in the buffer.
    """

    def __init__(self, name: str, rate_hz: int, period_s: float, periods: int) -> None:
        self.underrun = False  # whether the buffer was found empty since this was cleared
        self._handle = c_void_p()
        # Without _NONBLOCK, opening a busy card would wait until it is free.
        _check(_lib().snd_pcm_open(byref(self._handle), name.encode(), _PLAYBACK, _NONBLOCK | _NO_AUTO_RESAMPLE))
        try:
            self.format = self._configure(rate_hz, period_s, periods)
        except BaseException:
            self.close()
            raise

    def write(self, frames: bytes) -> int:
        """Writes as many whole frames as there is room for. Returns how many were taken."""
        taken = _lib().snd_pcm_writei(self._open_handle(), frames, len(frames) // (2 * self.format.channels))
        return 0 if taken == -errno.EAGAIN else _check(taken)

    def wait(self, timeout_s: float) -> bool:
        """Waits until there is room for a period. Returns False after the timeout."""
        return bool(_check(_lib().snd_pcm_wait(self._open_handle(), int(timeout_s * 1000))))

    def delay(self) -> int:
        """Returns the frames that were written and not heard yet, as far as the device knows; 0 after an underrun.

        This is the larger of two values: the fill level of the buffer, and the device's own delay. The latter may
        include what is beyond the buffer (a USB card's transfers, a server's buffer), or may be unknown.
        """
        reported = c_long()
        result = _lib().snd_pcm_delay(self._open_handle(), byref(reported))
        return max(self.queued(), 0 if result < 0 else reported.value)

    def queued(self) -> int:
        """Returns the frames in the buffer; 0 after an underrun."""
        room = _lib().snd_pcm_avail(self._open_handle())
        if room in (-errno.EPIPE, -errno.ESTRPIPE):
            # Everything was heard. Or nothing answers, which looks the same until the device is prepared.
            self.prepare()
            self.underrun = True
            return 0
        return max(0, self.format.buffer - _check(room))

    def prepare(self) -> None:
        """Makes the device ready again after an underrun, `drain` or `drop`."""
        _check(_lib().snd_pcm_prepare(self._open_handle()))

    def disconnected(self) -> bool:
        """Whether the device is known to be gone."""
        return bool(_lib().snd_pcm_state(self._open_handle()) == _DISCONNECTED)

    def drain(self) -> None:
        """Waits until everything has been heard."""
        handle = self._open_handle()
        _check(_lib().snd_pcm_nonblock(handle, 0))
        drained = _lib().snd_pcm_drain(handle)
        _check(_lib().snd_pcm_nonblock(handle, 1))
        _check(drained)
        self.prepare()
        self.underrun = False

    def drop(self) -> None:
        """Discards what has not been heard."""
        _check(_lib().snd_pcm_drop(self._open_handle()))
        self.prepare()
        self.underrun = False

    def close(self) -> None:
        """Closes the device. Idempotent."""
        handle, self._handle = self._handle, c_void_p()
        if handle:
            _lib().snd_pcm_close(handle)

    def _open_handle(self) -> c_void_p:
        if not self._handle:
            raise OSError(errno.EBADF, "it is not open")
        return self._handle

    def _configure(self, rate_hz: int, period_s: float, periods: int) -> PcmFormat:
        lib, pcm, params = _lib(), self._handle, c_void_p()
        _check(lib.snd_pcm_hw_params_malloc(byref(params)))
        try:
            _check(lib.snd_pcm_hw_params_any(pcm, params))
            _check(lib.snd_pcm_hw_params_set_access(pcm, params, _INTERLEAVED))
            if lib.snd_pcm_hw_params_set_format(pcm, params, _S16_LE) < 0:
                raise OSError(errno.EINVAL, "it takes no 16-bit samples; use its plughw: name, which does")
            channels = c_uint(1)
            _check(lib.snd_pcm_hw_params_set_channels_near(pcm, params, byref(channels)))
            rate = c_uint(next((r for r in (rate_hz, *_RATES_HZ) if self._accepts(params, r)), rate_hz))
            _check(lib.snd_pcm_hw_params_set_rate_near(pcm, params, byref(rate), None))
            period, buffer = c_ulong(int(rate.value * period_s)), c_ulong(int(rate.value * period_s) * periods)
            _check(lib.snd_pcm_hw_params_set_period_size_near(pcm, params, byref(period), None))
            _check(lib.snd_pcm_hw_params_set_buffer_size_near(pcm, params, byref(buffer)))
            _check(lib.snd_pcm_hw_params(pcm, params))
        finally:
            lib.snd_pcm_hw_params_free(params)
        return PcmFormat(rate.value, channels.value, period.value, buffer.value)

    def _accepts(self, params: c_void_p, rate_hz: int) -> bool:
        return bool(_lib().snd_pcm_hw_params_test_rate(self._handle, params, rate_hz, 0) == 0)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(-result, (_lib().snd_strerror(result) or b"unknown error").decode(errors="replace"))
    return result


def library() -> ctypes.CDLL:
    """Loads ALSA's library, as a new object on which the caller sets types. Raises SpeakerError if it is absent."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        # The name of the library's own package differs between releases; that of alsa-utils does not.
        raise SpeakerError(f"{_LIBRARY} is not installed; apt-get install alsa-utils") from error


@lru_cache(maxsize=1)
def _lib() -> ctypes.CDLL:
    """Returns the library with the types of the PCM calls."""
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
