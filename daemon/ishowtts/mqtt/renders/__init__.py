"""Sound for others over MQTT: requests, replies, the connection for them, and the boards that can be asked."""
