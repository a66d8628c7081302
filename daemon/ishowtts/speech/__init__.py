"""From a line that arrived to a line that was heard: intake, scheduler, outbox. `renders` makes sound for others."""

from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.intake import Intake
from ishowtts.speech.outbox import Outbox
from ishowtts.speech.scheduler import Scheduler, SchedulerStatus
from ishowtts.speech.segment_renderer import SpeechResources

__all__ = ["FallbackSynthesizer", "Intake", "Outbox", "Scheduler", "SchedulerStatus", "SpeechResources"]
