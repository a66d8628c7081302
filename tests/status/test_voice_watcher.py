"""The thread that has new voices prepared: for the watchdog each voice is a step of its own."""

from __future__ import annotations

import time

from ishowtts.status.voice_watcher import VoiceWatcher


def test_many_new_voices_are_not_taken_for_one_that_hangs() -> None:
    voices: dict[str, str] = {}
    overdue_s: list[float] = []

    def prepare(_name: str) -> None:
        overdue_s.append(librarian.overdue_s())
        time.sleep(0.1)

    librarian = VoiceWatcher(
        lambda: dict(voices), forget=lambda _: None, prepare=prepare, idle=lambda: True, on_change=lambda: None
    )
    voices.update({f"voice-{number}": "1" for number in range(5)})
    librarian.run_once(last=False)
    librarian.run_once(last=False)
    assert len(overdue_s) == 5
    assert max(overdue_s) < 0.1
