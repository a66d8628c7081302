"""Builds a root folder, and the bundle from which the short tests install: `python -m support.booted.build RELEASE`."""

from __future__ import annotations

import sys

from support.booted import bundles, roots
from support.booted.host import reason_unavailable


def main(release: str) -> int:
    """Build both unless they are in the cache. Returns the exit status."""
    if why := reason_unavailable():
        print(why, file=sys.stderr)
        return 1
    try:
        roots.base_root(release)
        bundles.build(release)
    except roots.RootUnavailableError as error:
        print(f"{release}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
