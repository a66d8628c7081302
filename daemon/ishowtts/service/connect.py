"""From the configuration to what the MQTT side needs."""

from __future__ import annotations

import os
from pathlib import Path

from ishowtts.config import Config
from ishowtts.mqtt.options import MqttOptions


def options(config: Config, root: str) -> MqttOptions:
    """How to reach the broker.

    Raises:
        ConfigError: the password file cannot be read.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return MqttOptions.from_config(config, root, config.mqtt_password(Path(credentials) if credentials else None))
