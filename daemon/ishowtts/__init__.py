"""iShowTTS: an appliance that speaks the lines of text that it is sent over MQTT."""

__version__ = "0.1.0"

DEFAULT_CONFIG = "/etc/ishowtts/config.yaml"
"""The configuration that `install.sh` makes. It is here so that no command imports the schema only for this path."""
