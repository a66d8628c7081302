"""Parses what comes on the commands connection, and passes each request to its handler."""

from __future__ import annotations

from collections.abc import Callable

from ishowtts.mqtt.command_payload import BadCommand, parse_command, parse_voice, parse_volume
from ishowtts.mqtt.history_payload import HISTORY, HistoryRequest
from ishowtts.mqtt.link_handlers import MqttHandlers
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.publish_packet import ReceivedMessage
from ishowtts.mqtt.response_topic import BadResponseTopic, Reply, checked_reply_to
from ishowtts.mqtt.session import Session
from ishowtts.mqtt.topics import Topics


class CommandDispatcher:
    """Calls the handlers of commands, volumes and default voices. What is invalid goes to `on_command_fault`.

    Args:
        session: Returns the connection for replies to `history`; `None` if there is none now.
    """

    def __init__(
        self, options: MqttOptions, topics: Topics, handlers: MqttHandlers, session: Callable[[], Session | None]
    ) -> None:
        self._options = options
        self._topics = topics
        self._handlers = handlers
        self._session = session

    def dispatch(self, message: ReceivedMessage) -> None:
        """Pass a message on. It is not a retained one."""
        try:
            if message.fault is not None:
                raise BadCommand(message.fault.detail)
            if message.topic == self._topics.volume_set:
                self._handlers.on_volume(parse_volume(message.payload))
            elif message.topic == self._topics.voice_set:
                self._handlers.on_voice(parse_voice(message.payload))
            else:
                self._execute(message)
        except BadCommand as error:
            self._handlers.on_command_fault(str(error), error.transaction, error.command)

    def _execute(self, message: ReceivedMessage) -> None:
        """Pass a command on. A request for the history is answered at its response topic, also if it has a fault."""
        try:
            command = parse_command(message.payload)
        except BadCommand as error:
            if error.command != HISTORY:
                raise
            command = HistoryRequest(transaction=error.transaction, fault=str(error))
        if isinstance(command, HistoryRequest):
            self._handlers.on_history(command, self._reply_of(message, command.transaction))
        else:
            self._handlers.on_command(command)

    def _reply_of(self, message: ReceivedMessage, transaction: str | None) -> Reply:
        """What publishes the reply to a request for the history. Raises BadCommand if none can be published."""
        prefix = self._options.reply_prefix
        try:
            if (reply_to := checked_reply_to(message.properties, prefix)) is not None:
                return Reply(reply_to, self._session)
        except BadResponseTopic as error:
            why = f"the response topic of {HISTORY} cannot be used: {error}"
            raise BadCommand(why, transaction, HISTORY) from error
        fix = f"publish it over MQTT 5 with a Response Topic under {prefix}"
        if self._options.protocol != 5:
            fix = "this appliance uses MQTT 3.1.1, which has none; set mqtt.protocol to 5"
        raise BadCommand(f"{HISTORY} is answered at a response topic: {fix}", transaction, HISTORY)
