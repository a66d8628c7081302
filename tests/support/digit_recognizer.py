"""Recognises spoken digits offline, with pocketsphinx and a grammar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from pocketsphinx import Decoder

_RATE_HZ = 16_000
_GRAMMAR = """#JSGF V1.0;
grammar digits;
public <digits> = ( one | two | three | four | five | six | seven | eight | nine | zero )+ ;
"""


def digits(path: Path) -> str:
    """The English digits spoken in a sound file, as words."""
    samples, rate_hz = soundfile.read(path, dtype="float32")
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    heard = soxr.resample(mono, rate_hz, _RATE_HZ)
    decoder = Decoder(samprate=_RATE_HZ, loglevel="FATAL", lm=None)
    grammar = path.with_suffix(".gram")
    grammar.write_text(_GRAMMAR)
    decoder.add_jsgf_file("digits", str(grammar))
    decoder.activate_search("digits")
    decoder.start_utt()
    decoder.process_raw((np.clip(heard, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""
