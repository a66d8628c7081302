"""Builds what speaks lines and renders: the scheduler and the render service, which share the thread `synthesis`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypedDict

from ishowtts.archive.archives import Archives
from ishowtts.config import Config
from ishowtts.engines.build import Engines
from ishowtts.inbox import Inbox
from ishowtts.model import Report
from ishowtts.playback.build_player import build_post_processor
from ishowtts.playback.player import Player
from ishowtts.speech.default_voice import DefaultVoice
from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.renders.render_service import RenderService
from ishowtts.speech.scheduler import Scheduler
from ishowtts.speech.segment_renderer import SpeechResources
from ishowtts.speech.speech_policy import SpeechPolicy


class _Options(TypedDict):
    """What the configuration says of the scheduler; see there."""

    pause_s: float
    drop_when_lost: bool


@dataclass
class SpeechParts:
    """The two parts. The render service is closed before the connection to the broker, and so before the scheduler.

    Attributes:
        resources: What the next lines are spoken with.
        resources_of_renders: The same for renders.
    """

    scheduler: Scheduler
    renders: RenderService
    resources: SpeechResources
    resources_of_renders: SpeechResources

    def change(self, config: Config, policy: SpeechPolicy) -> None:
        """Speak and render with another policy and other levels from the next line on.

        Args:
            config: With the same section `engine` as before.
        """
        self.resources, self.resources_of_renders = (
            replace(
                resources,
                policy=policy,
                post_processor=resources.post_processor.changed(config.audio.loudness_lufs, config.audio.peak_dbtp),
            )
            for resources in (self.resources, self.resources_of_renders)
        )
        self.scheduler.change(self.resources, **_options(config))
        self.renders.change(self.resources_of_renders, policy.admit_render)


def build_speech(
    config: Config,
    *,
    inbox: Inbox,
    engines: Engines,
    player: Player,
    policy: SpeechPolicy,
    default_voice: DefaultVoice,
    archives: Archives,
    language_of: Callable[[str | None], str | None],
    paused: bool,
    on_change: Callable[[], None],
    on_report: Callable[[Report], None],
) -> SpeechParts:
    """Build them; nothing is started.

    Args:
        language_of: Returns the language of a voice; `None` from it means English.
        paused: Whether the appliance was paused before the start.
        on_change: Called when the scheduler's status changed.
        on_report: Told of each line that was spoken to its end.
    """
    switches = config.engine.f5.switches
    synthesizer = FallbackSynthesizer.from_engines(
        engines,
        streaming=switches.streaming,
        batching=switches.batching,
        language_of=language_of,
        cache=archives.cache,
        late_s=config.engine.late_s,
    )
    resources = SpeechResources(
        synthesizer,
        player,
        policy,
        build_post_processor(config.audio, player.rate_hz, engines.gain_db),
        archives.recorder,
        default_voice.override,
    )
    # A post-processor lets one thread in at a time: with one of its own, a render never makes a line wait for it.
    post_processor = build_post_processor(config.audio, player.rate_hz, engines.gain_db)
    for_renders = replace(resources, post_processor=post_processor, recorder=None)
    renders = RenderService(for_renders, policy.admit_render, config.renders)
    scheduler = Scheduler(
        inbox,
        resources,
        available=engines.available,
        paused=paused,
        **_options(config),
        on_change=on_change,
        on_report=on_report,
        next_render=renders.next_job,
    )
    renders.ready.connect(scheduler.renders_changed)
    return SpeechParts(scheduler, renders, resources, for_renders)


def _options(config: Config) -> _Options:
    return {"pause_s": config.audio.pause_s, "drop_when_lost": config.audio.when_lost == "drop"}
