"""What each child process of the daemon does before it runs its module."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ishowtts.util import child_process

_SCORE = Path("/proc/self/oom_score_adj")


def test_a_child_process_is_a_victim_of_the_oom_killer_before_its_first_import(tmp_path: Path) -> None:
    # A package is imported before its modules run: there a worker spends its first seconds, and most of its memory.
    package = tmp_path / "heavy"
    package.mkdir()
    (package / "__init__.py").write_text(f"print(open('{_SCORE}').read())")
    (package / "module.py").write_text("")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    # A parent that was made a better victim keeps that for its children.
    for parent_score, expected in ((int(_SCORE.read_text()), 500), (700, 700)):
        parent = ["sh", "-c", f'echo {parent_score} >{_SCORE}; exec "$@"', "sh"]
        command = [*parent, *child_process.command("heavy.module")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert int(done.stdout) >= expected
