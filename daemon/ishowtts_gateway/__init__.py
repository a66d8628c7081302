"""The gateway: page, API, metrics, speech for other programs, terminal view. It knows appliances only over MQTT."""
