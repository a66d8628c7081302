"""OpenAI's speech interface: `/v1/audio/speech`, `/v1/audio/voices` and `/v1/models`."""
