"""The steps of `scripts/bench-gpu`: which ones there are, how each runs, and what is kept of it."""
