"""Holds the F5 engine against upstream and against the machine: parity, speed, and what each switch is worth."""
