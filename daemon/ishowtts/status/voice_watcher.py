"""Notices voices that were added, changed or removed, and has them prepared while nobody waits."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ishowtts.engines import VoiceInfo
from ishowtts.errors import EngineError, EngineUnavailable, InboxError
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_LOOK_S = 2.0

Versions = Callable[[], dict[str, str]]


class VoiceWatcher(LoopThread):
    """The thread `librarian`. A poll and no inotify: that misses what happens on a network disk.

    A voice is prepared once its files have stood still from one look to the next, so one that is being copied is
    left alone, and once nothing is spoken; a line that names it before has it prepared itself.

    Args:
        versions: of the voices that there are, by name.
        forget: drops what is known of a voice that changed or went. It must not raise.
        prepare: makes a voice ready: its card, `None` where the engine prepares nothing. Raises EngineError.
        idle: whether nothing is being spoken, nor waits to be.
        on_change: told when the names of the voices, or one of them, are others than before.
    """

    def __init__(
        self,
        versions: Versions,
        *,
        forget: Callable[[str], None],
        prepare: Callable[[str], VoiceInfo | None],
        idle: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        super().__init__("librarian")
        self._versions = versions
        self._forget = forget
        self._prepare = prepare
        self._idle = idle
        self._on_change = on_change
        self._known = versions()  # those of the start are prepared by the lines that name them
        self._waiting: set[str] = set()

    def run_once(self, last: bool) -> float:
        """Compare with the last look; prepare what has stood still since."""
        if not last:
            still = self._compare()
            for name in sorted(still & self._waiting):
                self.progressed()
                self._make_ready(name)
        return _LOOK_S

    def _compare(self) -> set[str]:
        """Take note of what changed; the names of the voices that did not."""
        known, now = self._known, self._versions()
        self._known = now
        gone = known.keys() - now.keys()
        changed = {name for name, version in now.items() if known.get(name) != version}
        for name in sorted(gone | changed):
            self._forget(name)
        for name in sorted(gone):
            log.info("voice %s is gone", name)
        self._waiting = (self._waiting - gone) | changed
        if gone or changed:
            self._on_change()
        return now.keys() - changed

    def _make_ready(self, name: str) -> None:
        try:
            if not self._idle():
                return
            card = self._prepare(name)
        except EngineUnavailable:
            return  # tried again at the next look
        except EngineError as error:
            log.warning("voice %s cannot be used until its files change: %s", name, error)
        except InboxError as error:
            log.error("voice %s waits: %s", name, error)
            return
        else:
            log.info("voice %s is ready%s", name, f": takes {card.max_segment_bytes} bytes a segment" if card else "")
        self._waiting.discard(name)
