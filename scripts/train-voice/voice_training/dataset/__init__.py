"""Speech to learn from: who speaks, how text becomes sound, and packs of it on disk."""
