"""iShowTTS: an appliance that speaks the lines it is sent over MQTT in a cloned voice."""

__version__ = "0.1.0"

DEFAULT_CONFIG = "/etc/ishowtts/config.yaml"
"""The configuration that `install.sh` makes. It is here so that no command imports the schema only for this path."""
