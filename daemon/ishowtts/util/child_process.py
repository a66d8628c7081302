"""Runs a module of this package in a child process, without searching the current folder for modules.

`python -m NAME` and `python -c CODE` put the current folder first on `sys.path`. Whoever can write there, as anybody
can in /tmp, then chooses what runs. Python 3.13 looks there for `linecache` before CODE can prevent it. `-P` exists
only since 3.11, and `-I` would ignore the PYTHON variables of the parent. If a script is run by its path, the script's
folder comes first instead. This file removes it before it imports anything (`sys` is built in).
"""

import sys

OOM_SCORE_ADJ = 500
"""What each child process has at least: half of the memory counts as its own when the kernel chooses a victim."""

_OOM_SCORE_FILE = "/proc/self/oom_score_adj"
_PR_SET_PDEATHSIG = 1


def command(module: str, *arguments: str) -> list[str]:
    """Builds the command line that runs `module` as `python -m` would.

    Args:
        module: Full name of a module that the parent could import, such as `ishowtts.engines.worker.worker_main`.
        arguments: The `sys.argv[1:]` of the module.
    """
    return [sys.executable, __file__, module, *arguments]


def offer_to_oom_killer() -> None:
    """Makes the kernel end this process before its parent if memory runs out, unless /proc cannot be written."""
    try:
        with open(_OOM_SCORE_FILE, "r+") as file:  # noqa: PTH123 - nothing is imported yet
            score = max(int(file.read()), OOM_SCORE_ADJ)
            file.seek(0)
            file.write(str(score))
    except OSError:
        pass


def end_with_parent() -> None:
    """Makes the kernel kill this process when the thread that started it ends, for whatever reason.

    Raises:
        OSError: The kernel refuses it.
    """
    import ctypes
    import os
    import signal

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main() -> None:
    """Runs the module that the command line names."""
    # Before the imports: while they run, the daemon may still be the larger process.
    offer_to_oom_killer()
    folder, _, _ = __file__.rpartition("/")
    # This folder must not serve top-level imports: its modules would hide packages of the same name.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", folder)]
    package_root = folder.removesuffix("/ishowtts/util")
    if package_root not in sys.path:
        sys.path.insert(0, package_root)
    import runpy

    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
