"""Checks a recording that came over MQTT and stores it as a voice, in a child process.

The child decodes what somebody sent, so it may die, and it has limits of time, memory and disk. It runs the same checks
as `ishowtts voices add`. Unlike that, it takes no format that needs ffmpeg: the service starts no such decoder. As a
program, this module is that child: it reads one JSON object and writes one line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ishowtts.engines.voices import clips, folders, transcript
from ishowtts.engines.voices import settings as voice_settings
from ishowtts.errors import EngineError, VoiceError
from ishowtts.model import IsCancelled, VoiceAbout
from ishowtts.util import child_process, program
from ishowtts.util.logs import Untrusted

log = logging.getLogger(__name__)

RECORDING = "recording"
"""Name of the recording in its folder. Messages of the checks name it so."""

_DEADLINE_S = 60.0
_CPU_S = 50
_MEMORY_BYTES = 1_500_000_000  # of data: the longest recording takes 0.44 GB, and each core some buffers
_FILE_BYTES = 20_000_000  # a clip of 12 s takes less than 1 MB
_MAX_OUTPUT_BYTES = 100_000
_NICE = 10


@dataclass(frozen=True)
class AddedClip:
    """A voice that was stored.

    Attributes:
        length_s: duration of the clip.
        notes: what was changed in the words, and audible defects; one sentence each.
    """

    length_s: float
    notes: list[str]


def add_checked(
    uploaded_dir: Path, name: str, recording_folder: Path, about: VoiceAbout, cancelled: IsCancelled
) -> AddedClip:
    """Checks a recording in a child process, and stores it as a voice.

    Args:
        uploaded_dir: the folder of the voices that came over MQTT.
        name: name of the voice.
        recording_folder: holds the file `RECORDING`.
        about: what the sender says about it.
        cancelled: asked every 20 ms. If it returns True, the child is killed.

    Raises:
        VoiceError: the recording or the words cannot be used, or the voice cannot be stored.
        Cancelled: `cancelled()` returned True.
    """
    request = {"uploaded_dir": str(uploaded_dir), "name": name, "folder": str(recording_folder), "about": asdict(about)}
    limits = program.ProgramLimits(_DEADLINE_S, _MAX_OUTPUT_BYTES)
    try:
        output = program.run(child_process.command(__name__), json.dumps(request).encode(), limits, cancelled)
    except (program.ProgramFailed, program.ProgramMissing) as error:
        log.warning("the check of a recording for voice %s %s", Untrusted(name), Untrusted(error))
        raise VoiceError(
            f"the check of the recording failed or took longer than {_DEADLINE_S:.0f} s; "
            "send it as WAV or FLAC, 2 to 12 s long"
        ) from error
    found: dict[str, Any] = json.loads(output)
    if "problem" in found:
        raise VoiceError(found["problem"])
    return AddedClip(**found)


def check_and_store(uploaded_dir: Path, name: str, recording: Path, about: VoiceAbout) -> AddedClip:
    """Does the work of the child. Raises VoiceError."""
    settings = voice_settings.check({"language": about.language} if about.language else {}, "the upload")
    clip = clips.make_clip(recording, convert=False)
    words, notes = transcript.checked_words(about.text, about.language, clip)
    folders.add(uploaded_dir, name, clip, words, settings, replace=about.replace)
    return AddedClip(round(clip.length_s, 2), [*notes, *clip.warnings()])


def main() -> int:
    """Reads the request and writes the result. Returns the exit status."""
    os.nice(_NICE)  # a daemon that speaks on this machine goes first
    with suppress(OSError):  # and if memory runs out, this process goes before it
        Path("/proc/self/oom_score_adj").write_text("1000")
    for limit, most in (
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_DATA, _MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    request = json.load(sys.stdin)
    os.chdir(request["folder"])
    about = VoiceAbout(**request["about"])
    try:
        result = asdict(check_and_store(Path(request["uploaded_dir"]), request["name"], Path(RECORDING), about))
    except EngineError as error:
        problem = str(error)
        result = {"problem": f"the {problem}" if problem.startswith(RECORDING) else problem}
    except MemoryError:
        result = {"problem": "the recording needs too much memory; send one of 2 to 12 s"}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
