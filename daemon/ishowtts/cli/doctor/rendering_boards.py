"""Examines the boards that render for this appliance, if `engine.kind` is `remote`, by what they publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ishowtts.cli.appliance_view import RETAINED_S, connect
from ishowtts.cli.common import root_topic
from ishowtts.cli.findings import Finding, fault
from ishowtts.config import Config
from ishowtts.errors import BrokerError, ConfigError
from ishowtts.util.known_names import listed

if TYPE_CHECKING:
    from ishowtts.mqtt.client import ShortLivedClient
    from ishowtts.mqtt.renders.board_watch import BoardWatch

_MOST_ROWS = 20
_FIX = "look at its state, and run `ishowtts doctor` there"


def examine_boards(settings: Config) -> Iterator[Finding]:
    """Name the boards that would render now, and say of each other why it would not."""
    from ishowtts.mqtt.renders.board_watch import BoardWatch
    from ishowtts.mqtt.renders.render_requester import NEEDS_MQTT5

    if settings.engine.kind != "remote":
        return
    if settings.mqtt.protocol != 5:
        yield fault("boards", NEEDS_MQTT5)
        return
    root = root_topic(settings)
    watch = BoardWatch.from_config(settings, root)
    try:
        with connect(settings, root) as client:
            _take(client, watch, watch.first_topics)
            _take(client, watch, watch.renderer_topics)
    except (BrokerError, ConfigError):
        yield Finding("boards", "note", "not known, because the broker cannot be asked", "fix what the row broker says")
        return
    yield from board_findings(watch)


def board_findings(watch: BoardWatch) -> Iterator[Finding]:
    """Describe the boards by what they have published."""
    summary = watch.summary
    if summary.problem is not None:
        yield fault("boards", summary.problem)
    else:
        names, voices = listed([board.name for board in summary.ready]), listed(summary.voices)
        yield Finding("boards", "ok", f"ready to render: {names}; their voices: {voices}")
    for name, why in list(watch.obstacles().items())[:_MOST_ROWS]:
        yield Finding("boards", "note", f"{name} {why}", _FIX)


def _take(client: ShortLivedClient, watch: BoardWatch, topics: tuple[str, ...]) -> None:
    """Subscribe, and take what the broker has kept."""
    if topics:
        client.subscribe(*topics)
        for message in client.messages(RETAINED_S):
            watch.take(message.topic, message.payload)
