"""Base class of the sections of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator

_NUMBERS = (int, float, int | None, float | None)
_PATHS = (Path, Path | None)
_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 4095  # NAME_MAX and PATH_MAX of Linux


class Section(BaseModel):
    """A frozen section. An unknown key is a fault."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True, serialize_by_alias=True
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_section_is_default(cls, data: Any) -> Any:
        """`mqtt:` with nothing under it means its defaults."""
        return {} if data is None else data

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_lookalikes(cls, value: Any, info: ValidationInfo) -> Any:
        # YAML `true` would count as 1, and an empty path as the current folder.
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and annotation in _NUMBERS:
            raise ValueError(f"must be a number{_or_null(annotation)}, not true or false")
        if value == "" and annotation in _PATHS:
            raise ValueError("must be a path" + (", or null for none" if annotation in _PATHS[1:] else ""))
        if isinstance(value, str) and annotation in _PATHS and not _is_possible_path(value):
            raise ValueError(f"must be a path, with names of at most {_MAX_NAME_BYTES} bytes and no zero byte")
        return value


def _is_possible_path(text: str) -> bool:
    """Whether the system takes this as a path at all: every look at another one is an error."""
    data = text.encode("utf-8", "surrogatepass")
    longest = max(map(len, data.split(b"/")))
    return b"\0" not in data and longest <= _MAX_NAME_BYTES and len(data) <= _MAX_PATH_BYTES


def _or_null(annotation: Any) -> str:
    return " or null" if type(None) in get_args(annotation) else ""
