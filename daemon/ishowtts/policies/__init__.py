"""The operator's policies: what is spoken, how much of it, and when. docs/policies.md explains them to operators."""

from ishowtts.policies.admission import Policies, PolicyStep, merged_text
from ishowtts.policies.quiet_hours import QuietHours

__all__ = ["Policies", "PolicyStep", "QuietHours", "merged_text"]
