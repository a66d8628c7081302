"""`ishowtts …`: every command, and what a person reads when one fails."""

from ishowtts.cli.main import main

__all__ = ["main"]
