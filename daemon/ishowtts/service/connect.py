"""From the configuration to what the MQTT side needs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ishowtts.config import Config
from ishowtts.mqtt.options import MqttOptions


def options(config: Config, root: str) -> MqttOptions:
    """How to reach the broker.

    Raises:
        ConfigError: the password file, or a credential, cannot be read.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credentials = Path(folder) if folder else None
    plain = MqttOptions.from_config(config, root, config.mqtt_password(credentials))
    return replace(plain, username=config.mqtt_username(credentials), tls_key=config.mqtt_tls_key(credentials))
