"""Voices on disk: `voice_library` finds them, `clips` turns recordings into clips, `folders` adds and removes voices.

Imports neither torch nor f5_tts.
"""
