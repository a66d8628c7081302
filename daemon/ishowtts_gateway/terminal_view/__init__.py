"""`ishowtts top`: shows appliances in a terminal, over MQTT."""
