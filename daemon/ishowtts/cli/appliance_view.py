"""What an appliance publishes about itself, as a command sees it. Any value may be odd, since anybody may publish."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ishowtts.errors import ConfigError, SubscriptionRefused
from ishowtts.model import AlertName
from ishowtts.util.logs import visible

if TYPE_CHECKING:
    from ishowtts.config import Config
    from ishowtts.mqtt.client import Message, ShortLivedClient

START_FIX = "start it: sudo systemctl start ishowtts"
RETAINED_S = 1.0
"""How long a command waits for a retained topic. A broker sends it within milliseconds of the subscription."""

RetainedObject = Literal["state", "info", "telemetry", "alerts"]
_ALERT = "alert/"
_ALERT_NAMES = {name.value for name in AlertName}
_MAX_TEXT_CHARS = 500
_MOST_ENGINES = 5
_SILENCES = {
    "no_device": ("there is no sound device", "plug it in, or name another one in audio.device"),
    "muted": ("the appliance is muted", "sudo ishowtts unmute"),
    "volume_0": ("the volume is 0", "sudo ishowtts volume 80"),
    "card_muted": ("the sound card is muted", "unmute it with alsamixer, or set audio.mixer"),
    "card_volume_0": ("the volume of the sound card is 0", "raise it with alsamixer, or set audio.mixer"),
    "silent_device": ("audio.device is silent", "name a sound card, or auto, in audio.device"),
}
"""Sentence and fix by the values of `silent` in `state`: see docs/mqtt.md."""
_TICK_S = 0.1


@dataclass(frozen=True)
class ApplianceView:
    """The retained topics of one appliance, as far as they have arrived.

    Attributes:
        root: `<prefix>/<device>`.
        availability: `online` or `offline`; `None`: nothing is known.
        state, info, telemetry: The objects; empty if they have not arrived.
        alerts: The objects below `alert/`, by the names of the alerts.
    """

    root: str
    availability: str | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    alerts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_message(self, message: Message) -> ApplianceView:
        """The view after one more message; the same view if the message is about something else."""
        name = message.topic.removeprefix(f"{self.root}/")
        if name == "availability":
            return replace(self, availability=visible(message.payload[:40].decode(errors="replace")))
        data = message.data()
        if not isinstance(data, dict):
            return self
        if name in ("state", "info", "telemetry"):
            changed: dict[str, Any] = {name: data}
            return replace(self, **changed)
        alert = name.removeprefix(_ALERT)
        if name.startswith(_ALERT) and alert in _ALERT_NAMES:
            return replace(self, alerts={**self.alerts, alert: data})
        return self

    def has(self, name: RetainedObject) -> bool:
        """Whether an object has arrived. Of the alerts, those that `state` names as active are enough."""
        if name != "alerts":
            return bool(getattr(self, name))
        active = self.state.get("alerts")
        return bool(self.state) and (not isinstance(active, list) or set(map(str, active)) <= self.alerts.keys())

    @property
    def online(self) -> bool:
        """Whether messages reach the appliance."""
        return self.availability == "online"

    @property
    def offline(self) -> bool:
        """Whether an appliance has run there, and messages do not reach it now."""
        return self.availability is not None and not self.online

    @property
    def paused(self) -> bool:
        """Whether no line is spoken until `resume`."""
        return self.state.get("paused") is True

    @property
    def muted(self) -> bool:
        """Whether lines are played without sound."""
        return self.state.get("muted") is True

    @property
    def volume(self) -> int | None:
        """Volume, 0 to 100; `None` if it is unknown."""
        volume = self.state.get("volume")
        return volume if type(volume) is int and 0 <= volume <= 100 else None

    @property
    def voice(self) -> str | None:
        """Name of the voice of lines that name none; `None` if it is unknown."""
        voice = self.state.get("voice")
        return bounded_text(voice) if isinstance(voice, str) and voice else None

    @property
    def silence(self) -> tuple[str, str] | None:
        """Why no line can be heard, and the fix; `None` if it is not known, or if `detail` says it."""
        told = self.state.get("silent")
        reason = "muted" if self.muted else "volume_0" if self.volume == 0 else told if isinstance(told, str) else ""
        if self.degraded and reason.startswith(("card_", "no_")):  # the detail names the card, and what it needs
            return None
        return _SILENCES.get(reason)

    @property
    def speaking(self) -> bool:
        """Whether a line is being spoken."""
        return isinstance(self.state.get("speaking"), dict)

    @property
    def deaf(self) -> str | None:
        """Why lines may not reach the appliance, in words; `None` if it does not report that."""
        detail = self.active_alerts.get(AlertName.DEAF)
        return detail or (None if detail is None else "lines may not reach it")

    @property
    def active_alerts(self) -> dict[AlertName, str]:
        """The sentences of the active alerts, in the order of AlertName.

        `state` names also those that the user of this command may not read at the broker.
        """
        named = self.state.get("alerts")
        active = {}
        for name in AlertName:
            alert = self.alerts.get(name.value)
            if alert is None and isinstance(named, list) and name.value in named:
                active[name] = f"this user of the broker may not read {self.root}/{_ALERT}{name.value}, which says why"
            elif alert is not None and alert.get("active") is True:
                active[name] = bounded_text(alert.get("detail"))
        return active

    @property
    def degraded(self) -> bool:
        """Whether something does not work as configured; `detail` says what."""
        return self.state.get("state") == "degraded"

    @property
    def starting(self) -> bool:
        """Whether the engine is still being loaded or warmed."""
        return self.state.get("state") in ("starting", "warming")

    @property
    def detail(self) -> str:
        """Why the state is as it is, in words; empty if there is nothing to say."""
        detail = self.state.get("detail")
        return bounded_text(detail) if isinstance(detail, str) else ""

    @property
    def detail_without_alerts(self) -> str:
        """What `detail` says besides the active alerts. It has the same sentences for what they tell."""
        told = self.active_alerts.values()
        return "; ".join(part for part in self.detail.split("; ") if not any(part in each for each in told))

    @property
    def engines(self) -> list[tuple[str, str]]:
        """Name and state of each engine that may speak, in order; empty if it is not known."""
        engines = self.telemetry.get("engines")
        known = (
            [each for each in engines[:_MOST_ENGINES] if isinstance(each, dict)] if isinstance(engines, list) else []
        )
        return [(bounded_text(each.get("name")), bounded_text(each.get("state"))) for each in known]

    @property
    def summary(self) -> str:
        """Availability and state in a few words. The last state of an appliance that is offline is outdated."""
        if not self.online:
            return self.availability or "unknown: no appliance has ever run there, or this user may not read its topics"
        state = self.state.get("state")
        words = ["online", *([visible(state[:40])] if isinstance(state, str) else [])]
        return ", ".join(words) + (f": {self.detail}" if self.detail else "")


def bounded_text(value: object) -> str:
    """A value of a payload as text for a terminal: cut, and without control characters; empty for `None`."""
    return "" if value is None else visible(str(value)[:_MAX_TEXT_CHARS])


def connect(settings: Config, root: str) -> ShortLivedClient:
    """A client with the user of the configuration. It connects when its `with` block begins."""
    from ishowtts.mqtt.client import ShortLivedClient
    from ishowtts.mqtt.mqtt_options import MqttOptions

    with readable_by_us():
        return ShortLivedClient(MqttOptions.from_config(settings, root))


@contextmanager
def readable_by_us() -> Iterator[None]:
    """Complete the sentences about secret files that this user may not read."""
    try:
        yield
    except ConfigError as error:
        if os.geteuid() == 0 or isinstance(error.__cause__, FileNotFoundError):
            raise
        raise ConfigError([f"{problem}, or run this command with sudo" for problem in error.problems]) from error


def read_view(client: ShortLivedClient, root: str, names: Sequence[RetainedObject]) -> ApplianceView:
    """Subscribe to retained topics, and wait until they are there, or for `RETAINED_S`.

    Args:
        names: The topics besides `availability`.
    """
    view = ApplianceView(root)
    topics = [f"{_ALERT}+" if name == "alerts" else name for name in names]
    try:
        client.subscribe(f"{root}/availability", *(f"{root}/{topic}" for topic in topics))
    except SubscriptionRefused as error:
        if f"{root}/availability" in error.topics:
            raise
    for message in client.messages(RETAINED_S):
        view = view.with_message(message)
        if view.availability is not None and all(view.has(name) for name in names):
            break
    return view


def messages_and_ticks(client: ShortLivedClient, wait_s: float) -> Iterator[Message | None]:
    """Yield what arrives within `wait_s`, and `None` about every 0.1 s, so that the caller can look at its clock."""
    until_s = time.monotonic() + wait_s
    while (left_s := until_s - time.monotonic()) > 0:
        yield next(client.messages(min(left_s, _TICK_S)), None)
