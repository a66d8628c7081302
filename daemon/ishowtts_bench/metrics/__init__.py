"""Metrics of speech: word errors, speaker similarity, predicted opinion. All work offline, with packaged weights."""
