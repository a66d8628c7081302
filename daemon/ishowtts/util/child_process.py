"""Runs a module of ours as a program of its own, without looking for modules in the current folder.

`python -m NAME` and `python -c CODE` put the current folder first on `sys.path`: who can write there, as all can in
/tmp, chooses what runs. Python 3.13 looks there for `linecache` before CODE can do anything about it. `-P` exists since
3.11 only, and `-I` would ignore the PYTHON variables that the parent was started with. With a script named by its path,
the script's folder stands there instead; this file takes that off before it imports anything (`sys` is built in).
"""

import sys


def command(module: str, *arguments: str) -> list[str]:
    """Builds the command line that runs `module` as `python -m` would.

    Args:
        module: full name of a module that the parent could import, such as `ishowtts.engines.worker.worker_main`.
        arguments: what it finds in `sys.argv[1:]`.
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
