"""The parts of install.sh, which are functions, one by one."""

from __future__ import annotations

import os
import subprocess

from support.install_machine import ROOT

PARTS = """
set -euo pipefail
cd "$ROOT"
VENV=/new dry_run=no f5=yes ignore_gpu=no offline=''
refuse() { echo "install.sh: $*" >&2; exit 2; }
for part in common.sh install/{steps,run,releases,parts,program,torch,devices,gpu,offline}.sh; do
    . "scripts/$part"
done
"""


def parts(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script after the parts of install.sh, which are functions."""
    return subprocess.run(
        ["/bin/bash", "-c", PARTS + script, "install.sh"],
        env={"PATH": os.environ["PATH"], "ROOT": str(ROOT), **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
