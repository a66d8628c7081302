"""`python -m ishowtts`, and the entry point of the command `ishowtts`."""

import sys


def main() -> int:
    """Run one command. An interrupt during the imports ends it without a traceback too."""
    try:
        from ishowtts.cli import main as run_command

        return run_command()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
