"""MQTT: bytes to values and back. The only package that imports paho, and there only `session` does."""
