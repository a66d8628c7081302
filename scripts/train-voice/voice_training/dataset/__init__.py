"""The training speech: speakers, synthesis by Kokoro, and packs of clips on disk."""
