"""The configuration: `schema` says what there is, `reader` turns YAML into it."""

from ishowtts.config.loader import load, parse
from ishowtts.config.policy_section import PolicySection
from ishowtts.config.schema import DEFAULT_PATH, Config, LimitsSection

__all__ = ["DEFAULT_PATH", "Config", "LimitsSection", "PolicySection", "load", "parse"]
