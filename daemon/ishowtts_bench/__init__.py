"""Benchmarks of the F5 engine: parity with upstream, speed, the effect of each switch, speech metrics, predictions."""
