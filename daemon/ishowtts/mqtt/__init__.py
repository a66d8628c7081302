"""The link to the MQTT broker. The only package that imports paho."""
