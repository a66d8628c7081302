"""The callbacks of the link to the broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ishowtts.model import Acknowledge, Arrival, Command, Delivery, Rejection, RenderRequest, VoiceRequest
from ishowtts.mqtt.history_payload import HistoryRequest
from ishowtts.mqtt.renders.render_reply import RenderKey, RenderReply
from ishowtts.mqtt.renders.render_requester import RenderRequester
from ishowtts.mqtt.response_topic import Reply


@dataclass(frozen=True)
class MqttHandlers:
    """The callbacks of the link. All are called on the link's threads and must not block.

    Args:
        on_arrival: A line or a rejection, and the function that acknowledges it. Call that function once the arrival is
            safe, on any thread; it does nothing if the connection is gone. Every arrival needs it: acknowledgements are
            sent in the order of arrival, so a missing one holds back all later ones.
        on_session: The lines connection is made. Takes the name of its session, whether the broker still knew it, and
            the function that subscribes. Call that function, on any thread: nothing of a new session arrives before.
            Messages of a known session arrive after this callback.
        on_command: A valid command.
        on_history: A request for older lines, and what publishes its reply. The request may have a fault.
        on_command_fault: The sentence about an invalid command; its transaction, and the command itself, if these could
            be parsed.
        on_volume: A volume from 0 to 100.
        on_voice: The name of the default voice that somebody wants; `None`: the configured one.
        on_connection: Whether the link works now, and the reason. Called when either changes.
        on_completed: Deliveries that the broker will not repeat, because it has saved our acknowledgements of them.
        on_voice_request: A message on a topic for voices, and the function that acknowledges it, which may be called on
            any thread. `None`: voices do not come over MQTT.
        on_render: A request for sound or the reason why it is not one, and what sends its reply. `None`: this appliance
            renders nothing for others.
        on_render_cancel: The key of a render that its requester cancels. It may have ended already.
        boards: Has other appliances render the segments of this one; `None` if it does that itself.
    """

    on_arrival: Callable[[Arrival, Acknowledge], None]
    on_session: Callable[[str, bool, Callable[[], None]], None]
    on_command: Callable[[Command], None]
    on_history: Callable[[HistoryRequest, Reply], None]
    on_command_fault: Callable[[str, str | None, str], None]
    on_volume: Callable[[int], None]
    on_voice: Callable[[str | None], None]
    on_connection: Callable[[bool, str], None]
    on_completed: Callable[[Sequence[Delivery]], object] = lambda _: None
    on_voice_request: Callable[[VoiceRequest, Acknowledge], None] | None = None
    on_render: Callable[[RenderRequest | Rejection, RenderReply], None] | None = None
    on_render_cancel: Callable[[RenderKey], None] = lambda _: None
    boards: RenderRequester | None = None
