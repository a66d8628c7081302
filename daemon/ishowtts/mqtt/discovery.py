"""Publishes the discovery message for Home Assistant, and removes messages of earlier configurations."""

from __future__ import annotations

import json
import logging
import math
import queue
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from ishowtts.board import BoardIdentity
from ishowtts.config import Config
from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, wait_for
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.discovery_message import DiscoveryFacts, discovery_message, discovery_topic
from ishowtts.mqtt.link import MqttLink
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

PUBLISHED_KEY = "discovery"
"""Setting of the inbox: the topics that may hold a discovery message of ours, and the board that published it."""

REFUSAL_KEY = "discovery_refusal"
"""Setting of the inbox: why the broker refuses the message; empty if it does not."""

REFUSAL_FIX = (
    "let the user of this appliance write that topic in the broker's ACL, or set home_assistant.discovery to false"
)

_MAX_WAIT_S = 5.0  # after `online`: many devices must not publish at the same moment
_IDLE_S = 3600.0
_MAX_TOPICS = 20


class HomeAssistantDiscovery(LoopThread):
    """The thread `discovery`.

    It remembers the topic before it publishes there. So a later start removes the message after a change of the prefix,
    of the root topic or of `home_assistant.discovery`. An appliance that never published one touches no such topic.

    Args:
        voices: Returns the voices that lines can name. Wake the thread when they change.
        inbox: Its settings hold the topics.
    """

    def __init__(
        self,
        config: Config,
        root: str,
        identity: BoardIdentity,
        *,
        voices: Callable[[], Sequence[str]],
        inbox: Inbox,
        link: MqttLink,
    ) -> None:
        super().__init__("discovery")
        self._config = self._wanted_config = config
        self._root = root
        self._identity = identity
        self._voices = voices
        self._inbox = inbox
        self._outside = link.serve_outside(self._home_assistant_started, self._answered)
        self._topic = self._topic_of(config)
        self._topics = self._read_topics()  # by topic: serial number of the board
        self._removed: set[str] = set()  # topics that we have emptied, until the broker confirms it
        self._message: bytes | None = None  # what was published last
        self._due_s = math.inf  # when to publish it again
        self._answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
        self._refusal: str | None = None  # the broker's last answer; `None`: there was none, "": it took the message
        self._refused: set[str] = set()  # topics whose refusal was logged

    def start(self) -> None:
        """Remove the messages of earlier configurations once we are connected, and start the thread."""
        self._remove_old()
        super().start()

    def change(self, config: Config) -> None:
        """Publish what another configuration asks for, and remove the message where that one has none."""
        self._wanted_config = config
        self.wake()

    def run_once(self, last: bool) -> float:
        """Publish the message if it changed or if it is due, and take the broker's answers."""
        if last:
            return _IDLE_S
        if self._config is not self._wanted_config:
            self._take_config(self._wanted_config)
        self._take_answers()
        if self._topic is not None:
            self._publish(self._topic)
        return min(_IDLE_S, max(0.0, self._due_s - time.monotonic()))

    def _topic_of(self, config: Config) -> str | None:
        """The topic of the message; `None` if there is to be none."""
        home_assistant = config.home_assistant
        return discovery_topic(home_assistant.prefix, self._root) if home_assistant.discovery else None

    def _take_config(self, config: Config) -> None:
        self._config = config
        topic = self._topic_of(config)
        if topic == self._topic:
            return
        self._topic, self._message, self._refusal, self._due_s = topic, None, None, math.inf
        if topic is not None:
            self._removed.discard(topic)
            self._refused.discard(topic)
        self._remove_old()

    def _publish(self, topic: str) -> None:
        facts = DiscoveryFacts.from_config(self._config, self._root, self._identity, self._voices())
        message = strict_json.dumps(discovery_message(facts))
        if message == self._message and time.monotonic() < self._due_s:
            return
        if self._message is None:
            self._remember(topic)
        self._message, self._due_s = message, math.inf
        self._outside.publish(topic, message)

    def _remove_old(self) -> None:
        """Empty the topics that we published before and do not use any more."""
        for topic, serial in list(self._topics.items()):
            if topic == self._topic:
                continue
            if serial != self._identity.serial:
                # This disk is a copy of another board's: the message is that board's.
                log.info("the discovery message on %s is left alone: another board has published it", topic)
                del self._topics[topic]
                continue
            log.info("the discovery message on %s is removed", topic)
            self._removed.add(topic)
            self._outside.publish(topic, b"")

    def _home_assistant_started(self) -> None:
        """Home Assistant has said that it is `online`. Called on a thread of the link."""
        now_s = time.monotonic()
        if self._due_s == math.inf:
            self._due_s = now_s + random.uniform(0, _MAX_WAIT_S)  # noqa: S311
            self.wake()

    def _answered(self, topic: str, refusal: str | None) -> None:
        """The broker has answered a publish or the subscription. Called on a thread of the link."""
        self._answers.put((topic, refusal))
        self.wake()

    def _take_answers(self) -> None:
        while not self._answers.empty():
            topic, refusal = self._answers.get()
            if topic == self._topic and self._refusal != (refusal or ""):
                self._refusal = refusal or ""
                self._inbox.remember(REFUSAL_KEY, self._refusal)
            if refusal is not None:
                self._log_refusal(topic, refusal)
                continue
            self._refused.discard(topic)
            if topic in self._removed:
                self._removed.discard(topic)
                self._outside.forget(topic)
                self._forget(topic)

    def _log_refusal(self, topic: str, refusal: str) -> None:
        """Log a refusal once, until the broker takes it."""
        if topic in self._refused:
            return
        self._refused.add(topic)
        if topic == self._outside.watched:
            log.warning(
                "the broker does not let us subscribe to %s (%s), so a device that was deleted in Home Assistant comes "
                "back only after the next connection; let the user of this appliance read that topic in the broker's "
                "ACL, or set home_assistant.discovery to false",
                topic,
                refusal,
            )
        else:
            log.warning(
                "the broker refuses the discovery message for Home Assistant on %s (%s); %s",
                topic,
                refusal,
                REFUSAL_FIX,
            )

    def _read_topics(self) -> dict[str, str | None]:
        try:
            return stored_topics(self._inbox.recall(PUBLISHED_KEY))
        except InboxError as error:
            log.warning("which discovery messages were published before is not known: %s", error)
            return {}

    def _remember(self, topic: str) -> None:
        self._topics[topic] = self._identity.serial
        try:
            wait_for(self._store())
        except InboxError as error:
            log.warning("the next start will not know that a discovery message was published: %s", error)

    def _forget(self, topic: str) -> None:
        self._topics.pop(topic, None)
        self._store()

    def _store(self) -> Future[None]:
        latest = dict(list(self._topics.items())[-_MAX_TOPICS:])
        return self._inbox.remember(PUBLISHED_KEY, json.dumps(latest))


def stored_topics(setting: str | None) -> dict[str, str | None]:
    """The topics in the setting, each with the serial number of the board that published there."""
    try:
        topics = json.loads(setting or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(topics, dict):
        return {}
    return {topic: serial for topic, serial in topics.items() if topic and isinstance(serial, (str, type(None)))}
