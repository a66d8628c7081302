"""Sounds on disk: finished speech that need not be made again, and recordings of what was said."""

from ishowtts.archive.cache import Cut, SpeechCache
from ishowtts.archive.recorder import Recorder, Recording, Take
from ishowtts.archive.writer import ArchiveWriter

__all__ = ["ArchiveWriter", "Cut", "Recorder", "Recording", "SpeechCache", "Take"]
