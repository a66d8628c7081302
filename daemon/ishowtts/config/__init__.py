"""The configuration: `schema` defines the keys, `loader` validates YAML against it."""

from ishowtts.config.loader import load, load_valid_part, parse
from ishowtts.config.policy_section import PolicySection
from ishowtts.config.schema import DEFAULT_PATH, Config, LimitsSection

__all__ = ["DEFAULT_PATH", "Config", "LimitsSection", "PolicySection", "load", "load_valid_part", "parse"]
