"""Sounds on disk: the cache of finished speech, and recordings of what was spoken."""

from ishowtts.archive.archive_writer import ArchiveWriter
from ishowtts.archive.recorder import Recorder, Recording, RecordingInProgress
from ishowtts.archive.speech_cache import CachedSegmentation, SpeechCache

__all__ = ["ArchiveWriter", "CachedSegmentation", "Recorder", "Recording", "RecordingInProgress", "SpeechCache"]
