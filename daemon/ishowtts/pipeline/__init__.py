"""From a line that arrived to a line that was heard: intake, conductor, outbox."""

from ishowtts.pipeline.cast import Cast
from ishowtts.pipeline.conductor import Conductor, Sheet
from ishowtts.pipeline.intake import Intake
from ishowtts.pipeline.outbox import Outbox

__all__ = ["Cast", "Conductor", "Intake", "Outbox", "Sheet"]
