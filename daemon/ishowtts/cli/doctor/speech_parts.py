"""Examines what makes speech: the engine, its fallback, the voices and the sound device."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

from ishowtts.cli import config_files, engine_findings
from ishowtts.cli.findings import Finding, FindingVerdict, as_part, fault
from ishowtts.config import Config
from ishowtts.errors import EngineError, SpeakerError, VoiceError
from ishowtts.util.package_files import missing_packages
from ishowtts.util.user_rights import as_owner_of


def examine_engine(settings: Config) -> Iterator[Finding]:
    """Describe the engine that the daemon chooses, why, and the weights that F5 uses."""
    from ishowtts.engines.engine_choice import choose_engine
    from ishowtts.engines.hibari.hibari_package import missing_package

    chosen, missing = choose_engine(settings), missing_package()
    if chosen.f5_problem:
        yield from as_part("engine", engine_findings.examine_f5(settings))
    elif chosen.kind == "espeak" and settings.engine.kind == "auto" and missing is not None:
        fix = f"{engine_findings.INSTALL_FIX} for the natural voice, or run sudo ishowtts fetch for cloned voices"
        yield Finding("engine", "note", "espeak: no F5-TTS weights were found, and the natural voice is missing", fix)
    elif chosen.kind == "hibari" and missing is not None:
        yield fault("engine", missing)
    else:
        yield Finding("engine", "ok", f"{', then '.join(chosen.order)}: {chosen.why}")
    if chosen.weights is not None:
        yield Finding("weights", "ok", engine_findings.about_weights(settings, chosen.weights))


def examine_natural_voice(settings: Config) -> Iterator[Finding]:
    """Look for the natural voice, if it may speak."""
    from importlib.metadata import PackageNotFoundError, version

    from ishowtts.engines.hibari.hibari_package import LICENCE

    missing = list(as_part("natural voice", engine_findings.examine_natural_voice(settings)))
    yield from missing
    if missing or not engine_findings.may_speak(settings, "hibari"):
        return
    try:
        installed = f"hibari-tts {version('hibari-tts')}"
    except PackageNotFoundError:  # a folder on the path, without the records of an installation
        installed = "hibari-tts"
    about = engine_findings.about_licence(LICENCE)
    yield Finding("natural voice", "ok", f"{installed} is installed ({about}); it speaks English only")


def examine_fallback(settings: Config) -> Iterator[Finding]:
    """Look for espeak-ng and its voice, and let it speak a word."""
    program, used = shutil.which("espeak-ng"), engine_findings.may_speak(settings, "espeak")
    if program is None:
        verdict: FindingVerdict = "fault" if used else "note"
        yield Finding("fallback voice", verdict, "espeak-ng is not installed", "sudo apt-get install espeak-ng")
        return
    # Imported here: it loads numpy.
    from ishowtts.engines.espeak import EspeakEngine
    from ishowtts.engines.espeak_voices import never

    if missing := list(as_part("fallback voice", engine_findings.examine_espeak_voice(settings))):
        yield from missing
        return
    try:
        EspeakEngine(settings.engine.espeak_voice).check(never)
    except EngineError as error:
        found = fault("fallback voice", error)
        yield found if used else replace(found, verdict="note")
        return
    yield Finding("fallback voice", "ok", f"{program}, voice {settings.engine.espeak_voice}; it speaks")


def examine_voices(settings: Config) -> Iterator[Finding]:
    """List the voices. A voice that cannot be used is a fault if it is the default one, else a note.

    An appliance whose segments others render speaks in their voices.
    """
    if settings.engine.kind == "remote":
        return
    from ishowtts.engines.voices import clips
    from ishowtts.engines.voices.ignored_folders import ignored_folders
    from ishowtts.engines.voices.voice_library import open_voice_library, voices_folder

    library = open_voice_library(settings)
    if problem := library.fault():
        yield fault("voices", problem)
    default, names, usable = settings.engine.f5.default_voice, library.names(), []
    for name in sorted({*names, default}):
        # What the user of the service may write, root does not read.
        rights = as_owner_of(settings.state_dir) if library.is_uploaded(name) else nullcontext()
        try:
            with rights:
                problem = clips.length_problem(clips.length_s(library.find(name).audio_path))
            usable.append(name)
            if problem:
                yield Finding("voices", "note", f"{name}: {problem}", f"ishowtts voices add {name} … --replace")
        except VoiceError as error:
            found = fault("voices", error)
            if name != default:
                yield Finding("voices", "note", found.detail, found.fix)
            elif missing_packages(["f5_tts"]) and not engine_findings.may_speak(settings, "f5"):
                yield Finding("voices", "note", "F5 is not installed, so no voice is cloned here")
            elif name in names:
                yield found
            else:
                yield fault("voices", str(error), f"`ishowtts voices add {name} …`, or fix engine.f5.default_voice")
    for folder, why, fix in ignored_folders(voices_folder(settings)):
        yield Finding("voices", "note", f"{folder} is not a voice: {why}", fix)
    if default in usable:
        yield Finding("voices", "ok", f"{', '.join(usable)}; a line without a voice gets {default}")


def examine_sound(settings: Config) -> Iterator[Finding]:
    """Open the sound device, and the one that replaces it."""
    yield _device("sound", "audio.device", settings.audio.device, settings)
    if settings.audio.when_lost not in ("wait", "drop"):
        yield _device("substitute device", "audio.when_lost", settings.audio.when_lost, settings)


def _device(part: str, key: str, device: str, settings: Config) -> Finding:
    if device.startswith("wav:"):
        found = config_files.examine_wav(key, device)
        detail = f"{device}: {found.detail}" if found.verdict == "fault" else device
        return Finding(part, found.verdict, detail, found.fix)
    if device.startswith("pipe:"):
        found = config_files.examine_pipe(key, device, settings)
        if found.verdict == "fault":
            return Finding(part, found.verdict, found.detail, found.fix)
    # Imported here: it loads numpy.
    from ishowtts.playback.alsa import sound_cards
    from ishowtts.playback.build_player import choose_speaker

    chosen = choose_speaker(device)
    found_why = f"{chosen.speaker.name}: {chosen.why}"
    if device == "silent":
        return Finding(part, "note", f"{found_why}; nothing can be heard", f"name a sound card, or auto, in {key}")
    try:
        chosen.speaker.open(24_000)
    except SpeakerError as error:
        holder = sound_cards.holder(chosen.speaker.name)
        if holder is None or not holder.startswith(sound_cards.OWN_DAEMON):
            return _refused_device(part, key, error)
        found_why += f"; {holder} has it open"
    finally:
        chosen.speaker.close()
    return Finding(part, "ok", found_why)


def _refused_device(part: str, key: str, error: SpeakerError) -> Finding:
    """A device that cannot be opened. The fix is its own, or names what the key may be."""
    found = fault(part, error)
    if "; " in str(error) and "ishowtts devices" not in str(error):
        return found
    return fault(part, error, f"plug it in, or set {key} to silent, wav:PATH or a card from `ishowtts devices`")


def examine_mixer(settings: Config) -> Iterator[Finding]:
    """Look whether the control that `audio.mixer` names can be set; without one, whether the card is muted."""
    from ishowtts.playback.build_player import choose_speaker

    device = choose_speaker(settings.audio.device).speaker.name
    control = settings.audio.of(device).mixer
    if control is None:
        from ishowtts.playback.alsa.card_silence import card_silence

        if (silence := card_silence(device)) is not None:
            yield fault("mixer", silence.sentence)
        return
    if device.startswith(("silent", "wav:", "pipe:")):
        yield Finding("mixer", "note", f"audio.mixer has no effect: the sound goes to {device}, which is not a card")
        return
    # ALSA's library is loaded only where there is a card.
    from ishowtts.playback.alsa.card_mixer import CardMixer

    yield Finding("mixer", "ok", CardMixer(device, control).check())
