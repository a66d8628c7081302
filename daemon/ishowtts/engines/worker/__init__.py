"""The worker process that runs an engine, and the daemon's side of it."""
