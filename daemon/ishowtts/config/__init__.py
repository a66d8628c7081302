"""The configuration: `schema` says what there is, `reader` turns YAML into it."""

from ishowtts.config.reader import load, parse
from ishowtts.config.schema import DEFAULT_PATH, Config

__all__ = ["DEFAULT_PATH", "Config", "load", "parse"]
