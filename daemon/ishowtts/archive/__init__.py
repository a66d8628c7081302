"""Sounds on disk: finished speech that need not be made again, and recordings of what was said."""

from ishowtts.archive.archive_writer import ArchiveWriter
from ishowtts.archive.recorder import Recorder, Recording, RecordingInProgress
from ishowtts.archive.speech_cache import CachedSegment, SpeechCache

__all__ = ["ArchiveWriter", "CachedSegment", "Recorder", "Recording", "RecordingInProgress", "SpeechCache"]
