"""Prepares text for speech: cleans it, puts it into words, and splits it into segments."""

from ishowtts.text.cleaning import clean, is_speakable
from ishowtts.text.markup import plain_text
from ishowtts.text.segmentation import MIN_SEGMENT_BYTES, segments
from ishowtts.text.styled_letters import compose_and_fold

__all__ = ["MIN_SEGMENT_BYTES", "clean", "compose_and_fold", "is_speakable", "plain_text", "segments"]
