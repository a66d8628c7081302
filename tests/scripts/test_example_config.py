"""The example configuration that install.sh copies to /etc/ishowtts."""

from __future__ import annotations

from pathlib import Path

import yaml

from ishowtts import config

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_configuration_has_every_key_with_its_default() -> None:
    path = ROOT / "config/ishowtts.yaml"
    assert config.load(path) == config.Config()
    assert keys(yaml.safe_load(path.read_text())) == keys(config.Config().model_dump())


def keys(tree: dict[str, object]) -> set[str]:
    found = set()
    for name, value in tree.items():
        found.add(name)
        if isinstance(value, dict):
            found |= {f"{name}.{inner}" for inner in keys(value)}
    return found
