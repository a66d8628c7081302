"""Prepares text for speech: cleans it, puts it into words, and splits it into segments."""

from ishowtts.text.cleaning import clean, is_speakable
from ishowtts.text.reader import TextReader
from ishowtts.text.segmentation import MIN_SEGMENT_BYTES, segments

__all__ = ["MIN_SEGMENT_BYTES", "TextReader", "clean", "is_speakable", "segments"]
