"""The engine of the natural voice: English only, in a worker process without torch."""
