"""The connection on which voices come, if the operator allows that.

It is a connection of its own, so that a recording of 12 MB delays neither a line nor a `stop`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from ishowtts.model import Acknowledge, BadVoiceRequest, VoiceRequest
from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole
from ishowtts.mqtt.publish_packet import ReceivedMessage
from ishowtts.mqtt.session import SessionHandlers
from ishowtts.mqtt.topics import Topics
from ishowtts.mqtt.voice_payload import parse_voice_request
from ishowtts.util.logs import Untrusted

log = logging.getLogger(__name__)

_MAX_UNACKNOWLEDGED = 20
"""Parts that the broker may send before we have stored the first of them: 0.9 MB."""

OnVoiceRequest = Callable[[VoiceRequest, Acknowledge], None]


def voice_connection(
    options: MqttOptions, topics: Topics, wait_s: Callable[[], float], on_request: OnVoiceRequest
) -> Connection:
    """Build the connection. Its session is clean: an upload that a restart has interrupted must be sent again.

    Args:
        wait_s: See `Connection`.
        on_request: Called on the thread `mqtt-voices` for each message, with the function that acknowledges it.
    """

    def arrived(message: ReceivedMessage, acknowledge: Acknowledge) -> None:
        if message.retained:
            log.info("a message that was retained on %s before we subscribed is ignored", Untrusted(message.topic))
            acknowledge()
            return
        name = topics.tail(message.topic).removeprefix("voice/").removesuffix("/set")
        if message.fault is None:
            request = parse_voice_request(name, message.payload)
        else:
            request = BadVoiceRequest("voice_add", None, message.fault.detail)
        on_request(request, acknowledge)

    def reachable(reason: str | None) -> None:
        if reason is not None:
            log.warning("voices may not come over MQTT: %s", reason)

    role = ConnectionRole(
        "voices",
        options.client_id(f"voices-{options.instance[:12]}"),
        (topics.voice_upload,),
        qos=1,
        persistent=False,
        probe_topic=topics.voices_probe,
    )
    handlers = SessionHandlers(
        on_open=lambda _resumed, subscribe: subscribe(),
        on_ready=lambda: None,
        on_message=arrived,
        on_reachable=reachable,
        on_completed=lambda _: None,
    )
    options = replace(options, receive_maximum=_MAX_UNACKNOWLEDGED)
    return Connection(options, role, handlers, on_down=lambda _reason, _without_message: None, wait_s=wait_s)
