"""The configuration: `schema` says what there is, `reader` turns YAML into it."""

from ishowtts.config.policies import Policies
from ishowtts.config.reader import load, parse
from ishowtts.config.schema import DEFAULT_PATH, Config, Limits

__all__ = ["DEFAULT_PATH", "Config", "Limits", "Policies", "load", "parse"]
