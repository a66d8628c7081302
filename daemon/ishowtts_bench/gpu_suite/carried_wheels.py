"""Makes the packages of a folder of wheels importable, on a machine without an index."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path


def add_wheels(wheels: Path, site: Path) -> int:
    """Unpack the wheels into `site`, and put that first on the path of this process and of its children.

    A wheel is a zip archive of its packages; unpacking takes a second where pip takes many. Their tags are not checked:
    the caller has chosen wheels for this Python.

    Returns:
        The number of wheels.

    Raises:
        ValueError: there are no wheels, one is broken, or one has files that only pip can place.
    """
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise ValueError(f"there are no wheels in {wheels}")
    for path in found:
        try:
            with zipfile.ZipFile(path) as wheel:
                placed = [name for name in wheel.namelist() if "/purelib/" in name or "/platlib/" in name]
                if any(name.split("/")[0].endswith(".data") for name in placed):
                    raise ValueError(f"{path.name} has files that only pip can place; install it")
                wheel.extractall(site)
        except (OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path.name} cannot be unpacked: {error}") from error
    sys.path.insert(0, str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    return len(found)
