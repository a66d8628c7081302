"""docs/home-assistant.md: its automations are YAML, and its entities and topics exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ishowtts.board import BoardIdentity
from ishowtts.mqtt.command_payload import parse_command
from ishowtts.mqtt.discovery_message import DiscoveryFacts, discovery_message
from ishowtts.mqtt.topics import Topics

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "home-assistant.md").read_text(encoding="utf-8")
ROOT = "ishowtts/kitchen"
MESSAGE = discovery_message(DiscoveryFacts(ROOT, BoardIdentity(), ["default"]))
COMPONENTS: dict[str, dict[str, Any]] = MESSAGE["components"]


def entity_id(component: dict[str, Any]) -> str:
    """The id that Home Assistant makes of the names of device and entity."""
    name = " ".join(filter(None, (MESSAGE["device"]["name"], component["name"])))
    return f"{component['platform']}.{re.sub('[^a-z0-9]+', '_', name.lower()).strip('_')}"


ENTITIES = {entity_id(component): component for component in COMPONENTS.values()}


def named_entities() -> set[str]:
    """The entities that the page names; `_stop` after `button.ishowtts_kitchen_skip` is one of the same kind."""
    found = set()
    for line in PAGE.splitlines():
        first = None
        for word in re.findall(r"(\w+\.ishowtts_kitchen\w*|(?<=`)_\w+)", line):
            if "." in word:
                first = word
                found.add(word)
            elif first is not None:
                found.add(first[: first.index("ishowtts_kitchen")] + "ishowtts_kitchen" + word)
    return found


def test_the_entities_exist_and_all_that_are_enabled_are_named() -> None:
    enabled = {name for name, component in ENTITIES.items() if component.get("enabled_by_default", True)}
    assert named_entities() == enabled
    assert len(ENTITIES) - len(enabled) == 18
    assert "\nEighteen more are disabled" in PAGE


def test_the_examples_are_yaml_and_their_topics_and_commands_exist() -> None:
    topics = {f"{ROOT}/say", f"{ROOT}/urgent", Topics(ROOT).command}
    examples = [yaml.safe_load(block) for block in re.findall(r"^ *```yaml\n(.*?)^ *```$", PAGE, flags=re.M | re.S)]
    assert len(examples) == 7
    for example in examples:
        for action in example.get("actions", []):
            assert action.get("data", {}).get("topic", f"{ROOT}/say") in topics
    assert '{"command": "cancel", "author": author}' in PAGE
    assert parse_command(b'{"command": "cancel", "author": "Bob"}').author == "Bob"


def test_its_links_exist() -> None:
    for link, _, anchor in (found.partition("#") for found in re.findall(r"\]\(([^)]+)\)", PAGE)):
        page = DOCS / link if link else DOCS / "home-assistant.md"
        assert page.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub("[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                link
            )
