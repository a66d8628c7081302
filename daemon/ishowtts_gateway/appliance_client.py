"""Follows appliances over MQTT: the connection, what they publish, requests to them, and lines that were missed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from ishowtts.config import Config
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests, new_reply_root
from ishowtts_gateway.appliances.broker_link import BrokerLink
from ishowtts_gateway.appliances.history_sync import HistorySync
from ishowtts_gateway.appliances.message_backlog import LinkMessage
from ishowtts_gateway.renders.render_client import RenderClient

_ALL = "+"
_STOP_LINK_S = 2.0


class ApplianceClient:
    """The parts that follow appliances. Nothing connects before `connected`.

    Attributes:
        broker: The name of the broker in sentences.
        shown: In words, which appliances are looked for.

    Args:
        own_root: `<prefix>/<device>` of this machine, which is followed if `gateway.devices` is null.
        devices: Names of devices, or `+` for every appliance under the prefix; `None`: those of `gateway.devices`.

    Raises:
        ConfigError: a password cannot be read.
    """

    def __init__(self, settings: Config, own_root: str, devices: Sequence[str] | None = None) -> None:
        prefix, section = settings.mqtt.prefix, settings.gateway
        options = MqttOptions.from_config(settings, own_root, settings.gateway_user(credentials_folder()))
        reply_root = new_reply_root(prefix, options.username)
        names = _names(devices or section.devices, own_root)
        self.broker = options.broker
        self.shown = f"{prefix}/{_ALL}" if names is None else ", ".join(names)
        self.directory = ApplianceDirectory(prefix, names)
        self.link = BrokerLink(
            options, [*self.directory.topics, f"{reply_root}/#"], self._message_arrived, self._connection_changed
        )
        self.directory.set_broker(False, self.link.detail)
        self.requests = ApplianceRequests(self.directory, self.link, reply_root=reply_root, controls=section.controls)
        self.renders = RenderClient(self.link, self.directory, reply_root)
        for name in self.directory.records:
            self.requests.refresh_controls(name)

    @asynccontextmanager
    async def connected(self, *, sync_history: bool = True) -> AsyncIterator[None]:
        """Keep the connection inside of the block.

        Args:
            sync_history: Ask appliances for lines whose events were missed.
        """
        history = HistorySync(self.directory, self.requests)
        synchronising = asyncio.create_task(history.run(), name="history") if sync_history else None
        await asyncio.sleep(0)  # it watches the directory from now on
        self.link.start()
        try:
            yield
        finally:
            self.directory.close()
            await self.link.stop(_STOP_LINK_S)
            if synchronising is not None:
                await synchronising

    def _message_arrived(self, message: LinkMessage) -> None:
        if not self.renders.reply_arrived(message) and not self.requests.reply_arrived(message):
            self.directory.apply(message.topic, message.payload, retained=message.retained)
            if message.topic.endswith("/availability"):
                self.renders.availability_changed()

    def _connection_changed(self, connected: bool, detail: str | None) -> None:
        self.directory.set_broker(connected, detail)
        self.renders.connection_changed(connected, detail)


def credentials_folder() -> Path | None:
    """The folder of systemd's credentials; `None` without systemd."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None


def _names(devices: str | Sequence[str] | None, own_root: str) -> list[str] | None:
    """The names of the devices; `None`: every appliance."""
    named = [devices] if isinstance(devices, str) else devices
    if named is None:
        return [own_root.rpartition("/")[2]]
    return None if _ALL in named else list(named)
