"""Runs a module of this package in a child process, without searching the current folder for modules.

`python -m NAME` and `python -c CODE` put the current folder first on `sys.path`. Whoever can write there, as anybody
can in /tmp, then chooses what runs. Python 3.13 looks there for `linecache` before CODE can prevent it. `-P` exists
only since 3.11, and `-I` would ignore the PYTHON variables of the parent. If a script is run by its path, the script's
folder comes first instead. This file removes it before it imports anything (`sys` is built in).
"""

import sys


def command(module: str, *arguments: str) -> list[str]:
    """Builds the command line that runs `module` as `python -m` would.

    Args:
        module: Full name of a module that the parent could import, such as `ishowtts.engines.worker.worker_main`.
        arguments: The `sys.argv[1:]` of the module.
    """
    return [sys.executable, __file__, module, *arguments]


def main() -> None:
    """Runs the module that the command line names."""
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
