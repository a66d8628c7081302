"""The worker process of an engine, and the daemon's side of it."""
