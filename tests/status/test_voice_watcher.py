"""The voice watcher reports progress to the watchdog with each voice that it prepares."""

from __future__ import annotations

import time

import pytest

from ishowtts.status.voice_watcher import VoiceWatcher


def test_many_new_voices_are_not_taken_for_a_stuck_thread() -> None:
    voices: dict[str, str] = {}
    overdue_s: list[float] = []

    def prepare(_name: str) -> None:
        overdue_s.append(watcher.overdue_s())
        time.sleep(0.1)

    watcher = VoiceWatcher(
        lambda: dict(voices), forget=lambda _: None, prepare=prepare, idle=lambda: True, on_change=lambda: None
    )
    voices.update({f"voice-{number}": "1" for number in range(5)})
    watcher.run_once(last=False)
    watcher.run_once(last=False)
    assert len(overdue_s) == 5
    assert max(overdue_s) < 0.1


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        (None, "voice anna is ready"),
        (
            "no F5-TTS weights were found; `ishowtts fetch` gets them",
            "voice anna can be read, but another engine speaks in its place: no F5-TTS weights were found",
        ),
    ],
)
def test_a_new_voice_that_another_engine_speaks_is_not_called_ready(
    caplog: pytest.LogCaptureFixture, reason: str | None, says: str
) -> None:
    caplog.set_level("INFO")
    voices: dict[str, str] = {}
    watcher = VoiceWatcher(
        lambda: dict(voices),
        forget=lambda _: None,
        prepare=lambda _: None,
        idle=lambda: True,
        not_cloned=lambda _: reason,
        on_change=lambda: None,
    )
    voices["anna"] = "1"
    for _ in range(3):
        watcher.run_once(last=False)
    assert [message.startswith(says) for message in caplog.messages] == [True]
