"""A render service over a real scheduler, with an engine of tones, and requesters that note what they are sent."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ishowtts.limits import RENDER_PART_BYTES
from ishowtts.model import Line, Rejection, RenderRequest, SoundFormat
from ishowtts.mqtt.renders.render_reply import RenderKey
from ishowtts.speech.renders.render_service import RenderService
from support.speech_harness import Harness
from support.waiting import eventually


class Requester:
    """The reply of one render: notes the parts, and has room for as many parts of sound as a test gives it."""

    def __init__(self, number: int, client: str = "ishow/reply/a", *, room: int = 10_000) -> None:
        self.key = RenderKey(client, str(number).encode())
        self.gone: str | None = None
        self.part_bytes = RENDER_PART_BYTES
        self.wake = lambda: None
        self.room = room
        self.sound: list[bytes] = []
        self.parts: list[tuple[str, dict[str, Any]]] = []
        self.first_sound_s: float | None = None
        self._lock = threading.Lock()

    @property
    def client(self) -> str:
        return self.key.topic

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.parts]

    def send(self, part: str, payload: bytes, *, seq: int | None = None) -> bool:
        assert not self.ended(), f"{part} after the last part"
        if self.gone is not None:
            return False
        if part != "audio":
            self.parts.append((part, json.loads(payload)))
            return True
        with self._lock:
            if self.room <= 0:
                return False
            self.room -= 1
        assert seq == len(self.sound)
        assert 0 < len(payload) <= RENDER_PART_BYTES
        self.first_sound_s = self.first_sound_s or time.monotonic()
        self.sound.append(payload)
        return True

    def confirm(self, count: int = 1) -> None:
        with self._lock:
            self.room += count
        self.wake()

    def leave(self, why: str = "nobody is subscribed") -> None:
        self.gone = why
        self.wake()

    def ended(self) -> bool:
        return bool(self.parts) and self.names[-1] in ("end", "error")

    def last(self) -> tuple[str, dict[str, Any]]:
        eventually(self.ended, "the last part")
        return self.parts[-1]

    def end(self) -> dict[str, Any]:
        name, fields = self.last()
        assert name == "end", fields
        return fields

    def error(self) -> str:
        name, fields = self.last()
        assert name == "error", fields
        return str(fields["reason"])

    def samples(self) -> Any:
        return np.frombuffer(b"".join(self.sound), "<i2")


class RenderBench:
    """The service beside the scheduler of a harness."""

    def __init__(self, folder: Path, stack: ExitStack, *, limit: int = 32, **harness: Any) -> None:
        self._service: RenderService | None = None
        self.refused: dict[str, Rejection] = {}
        self.harness = Harness(folder, stack, next_render=self._next_job, **harness)
        resources = replace(self.harness.resources, recorder=None)
        self.service = self._service = RenderService(resources, self._admit, limit)
        self.service.ready.connect(self.harness.scheduler.renders_changed)
        self.service.start()
        stack.callback(self.service.close, 10)
        self._number = 0

    @property
    def engine(self) -> Any:
        return self.harness.primary

    def ask(
        self,
        text: str,
        client: str = "a",
        *,
        room: int = 10_000,
        sound_format: SoundFormat = SoundFormat.PCM,
        is_segment: bool = False,
        **fields: Any,
    ) -> Requester:
        self._number += 1
        requester = Requester(self._number, f"ishow/reply/{client}", room=room)
        line = Line(**{"id": f"r{self._number}", "text": text, "ttl_s": 60.0, **fields})
        self.service.offer(RenderRequest(line, sound_format, is_segment), requester)
        return requester

    def _next_job(self, spare_s: float) -> Any:
        return None if self._service is None else self._service.next_job(spare_s)

    def _admit(self, line: Line) -> Line | Rejection:
        return self.refused.get(line.text, line)
