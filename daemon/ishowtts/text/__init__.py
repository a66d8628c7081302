"""Text for speech: cleaned, read out, and cut into parts that an engine takes in one go."""

from ishowtts.text.cleaning import clean, is_speakable
from ishowtts.text.reader import TextReader
from ishowtts.text.segmentation import MIN_SEGMENT_BYTES, segments

__all__ = ["MIN_SEGMENT_BYTES", "TextReader", "clean", "is_speakable", "segments"]
