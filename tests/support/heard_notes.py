"""Notes what a daemon with its real engines is heard to say, in the daemon's own process.

Each note has the monotonic time and the pid (`support.quick_daemon.Notes`):

- `ready`: the daemon reports to systemd that it is ready.
- `event`, `id` and `text`: it stores an event. `durable` is false if the event says that it is in memory only.
- `plays`: the id of a line; the segment at `position` goes to the player, spoken by `engine`.
- `audible`: the device has taken sound that can be heard. Noted once in `AUDIBLE_EVERY_S` while there is sound.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ishowtts import app
from ishowtts.inbox.outbox_table import OutboxTable
from ishowtts.model import Event, Samples
from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker
from ishowtts.playback.build_player import ChosenSpeaker
from ishowtts.speech.segment_renderer import RenderedSegment
from ishowtts.speech.speech_task import SpeechTask
from ishowtts.systemd import Notifier

AUDIBLE_EVERY_S = 0.1
_AUDIBLE_PEAK = 100  # of 32768: -50 dB; pauses within speech are below it

Take = Callable[..., None]


class _NotingAlsaSpeaker(AlsaSpeaker):
    def __init__(self, pcm: str, take: Take) -> None:
        super().__init__(pcm)
        self._take = take
        self._noted_at_s = 0.0

    def write(self, block: Samples) -> None:
        super().write(block)
        now_s = time.monotonic()
        if now_s - self._noted_at_s >= AUDIBLE_EVERY_S and int(np.abs(block).max()) >= _AUDIBLE_PEAK:
            self._noted_at_s = now_s
            self._take(audible=True)


def install(take: Take, factories: app.Factories) -> app.Factories:
    """Has this process take notes; returns the factories with a speaker that does so too."""
    store, play, ready = OutboxTable.store, SpeechTask._play, Notifier.ready

    def noting_store(self: OutboxTable, event: Event) -> None:
        take(event=event.event, id=event.id, text=event.data.get("text"), durable=event.data.get("durable", True))
        store(self, event)

    def noting_play(self: SpeechTask, rendered: RenderedSegment) -> None:
        planned = self._segments[self._next]
        take(plays=self.dequeued.line.id, position=planned.position, engine=rendered.utterance.engine)
        play(self, rendered)

    def noting_ready(self: Notifier, status: str) -> None:
        take(ready=True)
        ready(self, status)

    patches: list[tuple[Any, str, Any]] = [
        (OutboxTable, "store", noting_store),
        (SpeechTask, "_play", noting_play),
        (Notifier, "ready", noting_ready),
    ]
    for owner, name, noting in patches:
        setattr(owner, name, noting)
    return replace(factories, speaker=lambda device: ChosenSpeaker(_NotingAlsaSpeaker(device, take), "it takes notes"))
