"""Finds names of package index hosts in the checkout. A lock or a script that names one works only on some networks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# The brackets keep the pattern from matching this file.
HOSTS = re.compile(
    r"pypi[.]org|pythonhosted[.]org|download[.]pytorch[.]org|pypi[.]jetson|pypi[.]nvidia[.]com|piwheels[.]org"
    r"|jetson-ai-lab[.](?:dev|io)|(?:index-url|find-links|index_url|INDEX_URL)[= ]+[\"']?https?[:]//"
)


def main() -> int:
    """Returns the exit status: 1 if a file names a host."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    found = 0
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = root / name
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if match := HOSTS.search(line):
                print(f"{name}:{number}: names a package index host ({match.group()})")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
