"""Notices voices that were added, changed, removed or chosen, and prepares them while no line waits."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ishowtts.engines import VoiceInfo
from ishowtts.errors import EngineError, EngineUnavailable, InboxError
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_POLL_INTERVAL_S = 2.0

Versions = Callable[[], dict[str, str]]


class VoiceWatcher(LoopThread):
    """The thread `voice-watcher`. It polls, because inotify does not report changes on a network disk.

    A voice is prepared once its files did not change from one poll to the next, so that a voice is not read while it
    is being copied, and once no line is spoken. A line that names the voice earlier prepares it itself.

    Args:
        versions: Returns the version of each voice, by name.
        forget: Drops what is known of a voice that changed or was removed. It must not raise.
        prepare: Prepares a voice; `None` if the engine prepares nothing. Raises EngineError.
        idle: Whether no line is spoken or waits.
        chosen: Returns the default voice that was set over MQTT, which is prepared too; `None`: none was set.
        not_cloned: Why F5 does not speak a voice, although its files are good; `None` from it if F5 does.
        on_change: Called when voices were added, changed or removed.
    """

    def __init__(
        self,
        versions: Versions,
        *,
        forget: Callable[[str], None],
        prepare: Callable[[str], VoiceInfo | None],
        idle: Callable[[], bool],
        chosen: Callable[[], str | None] = lambda: None,
        not_cloned: Callable[[str], str | None] = lambda _name: None,
        on_change: Callable[[], None],
    ) -> None:
        super().__init__("voice-watcher")
        self._versions = versions
        self._forget = forget
        self._prepare = prepare
        self._idle = idle
        self._chosen = chosen
        self._not_cloned = not_cloned
        self._on_change = on_change
        self._known = versions()  # voices that are there at the start are prepared by the lines that name them
        self._not_prepared: set[str] = set()
        self._last_chosen: str | None = None

    def run_once(self, last: bool) -> float:
        """Compare with the last poll; prepare the voices that did not change since."""
        if not last:
            changed = self._compare()
            if (chosen := self._chosen()) != self._last_chosen:
                self._last_chosen = chosen
                self._not_prepared |= {chosen} if chosen is not None else set()
            for name in sorted(self._not_prepared - changed):
                self.progressed()
                self._make_ready(name)
        return _POLL_INTERVAL_S

    def _compare(self) -> set[str]:
        """Note what changed; return the names of the voices whose files changed since the last poll."""
        known, now = self._known, self._versions()
        self._known = now
        removed = known.keys() - now.keys()
        changed = {name for name, version in now.items() if known.get(name) != version}
        for name in sorted(removed | changed):
            self._forget(name)
        for name in sorted(removed):
            log.info("voice %s was removed", name)
        self._not_prepared = (self._not_prepared - removed) | changed
        if removed or changed:
            self._on_change()
        return changed

    def _make_ready(self, name: str) -> None:
        try:
            if not self._idle():
                return
            info = self._prepare(name)
        except EngineUnavailable:
            return  # the next poll tries again
        except EngineError as error:
            log.warning("voice %s cannot be used until its files change: %s", name, error)
        except InboxError as error:
            log.error("voice %s is not prepared yet: %s", name, error)
            return
        else:
            if (reason := self._not_cloned(name)) is not None:
                log.warning("voice %s can be read, but another engine speaks in its place: %s", name, reason)
                self._not_prepared.discard(name)
                return
            log.info("voice %s is ready%s", name, f": takes {info.max_segment_bytes} bytes a segment" if info else "")
        self._not_prepared.discard(name)
