"""Checks the order of the parts of one reply to a render. Whoever requests renders uses it."""

from __future__ import annotations

from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderHead, RenderPart, RenderSound


class BrokenReply(ValueError):
    """The sound is not usable: a part is missing, or is not what was asked for."""


class ReplyOrder:
    """The parts of one reply, without their sound.

    Args:
        sound_format: What was asked for.
        max_bytes: The most sound that is taken.

    Attributes:
        head: The head; `None` before it has come.
        parts: How many parts of sound have come.
        size_bytes: Their size.
    """

    def __init__(self, sound_format: SoundFormat, max_bytes: int) -> None:
        self.head: RenderHead | None = None
        self.parts = 0
        self.size_bytes = 0
        self._format = sound_format
        self._max_bytes = max_bytes

    def take(self, part: RenderPart) -> bool:
        """Count the next part. Returns whether it is new: at QoS 1 a message may come twice.

        Raises:
            BrokenReply: It does not follow from those before it.
        """
        if isinstance(part, RenderHead):
            return self._take_head(part)
        if isinstance(part, RenderSound):
            return self._take_sound(part)
        if isinstance(part, RenderEnd) and (self.head is None or part.parts != self.parts):
            raise self._gap()
        return True

    def _take_head(self, head: RenderHead) -> bool:
        if self.head is not None:
            return False
        if head.format is not self._format:
            raise BrokenReply(f"the appliance sends {head.format.value}, not {self._format.value}")
        self.head = head
        return True

    def _take_sound(self, sound: RenderSound) -> bool:
        if sound.seq < self.parts:
            return False
        if sound.seq > self.parts or self.head is None:
            raise self._gap()
        self.parts += 1
        self.size_bytes += len(sound.data)
        if self.size_bytes > self._max_bytes:
            raise BrokenReply(f"the appliance sends more than {self._max_bytes // 1_000_000} MB of sound")
        return True

    @staticmethod
    def _gap() -> BrokenReply:
        return BrokenReply("a part of the sound is missing (max_queued_messages of the broker?)")
