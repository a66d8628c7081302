"""`python -m ishowtts`, and the entry point of the command `ishowtts`."""

import signal
import sys


def main() -> int:
    """Run one command. An interrupt during the imports ends it without a traceback too."""
    if sys.argv[1:2] in (["run"], ["gateway"]):
        # The imports take a second. A SIGHUP that comes so early waits until it is handled (util/stop_signals).
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        from ishowtts.cli import main as run_command

        return run_command()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
