"""Voices on disk: `shelf` finds them, `clips` mends recordings, `folders` puts voices there and takes them off.

Imports no torch, and no f5_tts.
"""
