"""The gateway: a web page, an API, metrics and a terminal view of appliances, which it knows only over MQTT."""
