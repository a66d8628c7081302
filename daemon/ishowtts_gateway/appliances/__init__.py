"""What the gateway knows of appliances, and what it asks of them, over MQTT."""
