"""The lists of devices in the configuration."""

from __future__ import annotations

from ishowtts.limits import NAME, RESERVED_NAMES

_MAX_DEVICES = 100
EVERY = "+"
"""Every appliance under `mqtt.prefix`."""


def device_names(value: object, others: str) -> object:
    """Check `+`, one name of a device, or a list of them; a name alone becomes a list.

    Args:
        others: The values that are no list, in words, for the sentence about a wrong value.

    Raises:
        ValueError: It is none of these.
    """
    if value == EVERY:
        return value
    names = value if isinstance(value, list) else [value]
    valid = all(isinstance(name, str) and NAME.fullmatch(name) and name not in RESERVED_NAMES for name in names)
    if not valid or not 1 <= len(names) <= _MAX_DEVICES or len(set(names)) < len(names):
        raise ValueError(
            f"must be {others}, or a list of 1 to {_MAX_DEVICES} different device names, each 1 to 64 characters of "
            f"a-z, 0-9, _ and -, and neither {' nor '.join(RESERVED_NAMES)}"
        )
    return names
