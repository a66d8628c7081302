"""What fails before anything is applied changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from ishowtts.config import Config
from ishowtts.errors import CommandError, InboxError
from ishowtts.status.live_settings import LiveSettings
from ishowtts.status.status_publisher import StatusPublisher


class Untouched:
    """A part that must not be called."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used")


class Queue:
    """A queue that cannot tell the stored volume."""

    def recall(self, _key: str) -> str | None:
        raise InboxError("the disk does not answer")


class Policy:
    """A policy whose successor cannot be prepared."""

    def changed(self, *_: object) -> Policy:
        return self

    def prepare(self) -> None:
        raise MemoryError("no room")


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"volume": 10}, "the disk does not answer"),
        ({"pause_s": 1}, "its policies and texts cannot be used; the daemon's log says more"),
        ({"when_lost": "wav:/a"}, "audio.when_lost names the device that is in use"),
    ],
)
def test_a_failure_before_anything_is_applied_changes_nothing(section: dict[str, Any], told: str) -> None:
    part = cast(Any, Untouched())
    no_change = cast(Callable[..., None], part)
    settings = LiveSettings(
        *(cast(Any, Policy()), part, part, cast(Any, Queue()), part, part, part, part, part, part, part),
        *(part, cast(StatusPublisher, part), [part], no_change),
    )
    former = Config()
    audio = former.audio.model_copy(update={"device": "wav:/a", **section})
    former = former.model_copy(update={"audio": former.audio.model_copy(update={"device": "wav:/a"})})
    with pytest.raises(CommandError, match=told):
        settings.apply(former, former.model_copy(update={"audio": audio}))
