"""Reads untrusted YAML: plain values, lists and mappings only, in time proportional to the length of the text.

Aliases, merge keys and tags are refused: nine aliases in each of nine levels grow 400 bytes into 9^9 pairs. Nesting is
bounded, keys are text, and no key may occur twice.
"""

from __future__ import annotations

from typing import Any

import yaml

MOST_BYTES = 65_536
MOST_DEPTH = 16
_MAX_NUMBER_CHARS = 64
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"


class StrictYamlError(ValueError):
    """What is wrong with the text.

    Args:
        problem: A clause such as `it has an alias`.
        line: Line number, from 1; `None` if the parser does not report it.
    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem if line is None else f"{problem} (line {line})")
        self.problem = problem
        self.line = line


def load(text: str) -> Any:
    """Returns the values of a document; `None` if it is empty. Raises StrictYamlError."""
    return _run(text, construct=True)


def compose(text: str) -> yaml.Node | None:
    """Returns the nodes of a document, with their lines; `None` if it is empty. Raises StrictYamlError."""
    node: yaml.Node | None = _run(text, construct=False)
    return node


class _StrictLoader(yaml.SafeLoader):
    """Refuses during composition, before any value is built. Recurses once for each level."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise StrictYamlError("it has an anchor or an alias; write the value out", line)
        if event.tag is not None:
            raise StrictYamlError("it has a tag; remove it", line)
        if self._depth == MOST_DEPTH:
            raise StrictYamlError(f"it is nested deeper than {MOST_DEPTH} levels", line)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode) and node.tag != _TEXT and len(node.value) > _MAX_NUMBER_CHARS:
            raise StrictYamlError(f"it has a number of more than {_MAX_NUMBER_CHARS} characters", line)
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        return node


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag == _MERGE:
            raise StrictYamlError("it has a merge key (<<); write the keys out", line)
        if key.tag != _TEXT:
            raise StrictYamlError("it has a key that is not text; put it into quotes", line)
        if key.value in seen:
            raise StrictYamlError(f"it has the key {key.value[:40]!r} twice; keep one", line)
        seen.add(key.value)


def _run(text: str, *, construct: bool) -> Any:
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise StrictYamlError(f"it is larger than {MOST_BYTES} bytes")
    try:
        loader = _StrictLoader(text)
        try:
            node = loader.get_single_node()
            return node if node is None or not construct else loader.construct_document(node)
        finally:
            loader.dispose()
    except StrictYamlError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise StrictYamlError(error.problem or "it is not YAML", mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:
        # Characters that YAML forbids, and values that look like a number or a date, such as 2026-99-99.
        raise StrictYamlError("it is not YAML, or holds an impossible value") from error
