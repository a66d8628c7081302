"""F5-TTS with Vocos: the only place of the appliance that imports torch."""
