"""iShowTTS: an appliance that speaks the lines it is sent over MQTT in a cloned voice."""

__version__ = "0.1.0"
