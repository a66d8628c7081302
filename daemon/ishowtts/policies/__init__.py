"""What is spoken, how much of it, and when: the operator's policies. docs/policies.md tells it to operators."""

from ishowtts.policies.admission import Policies
from ishowtts.policies.quiet_hours import QuietHours
from ishowtts.policies.templates import merged_text

__all__ = ["Policies", "QuietHours", "merged_text"]
