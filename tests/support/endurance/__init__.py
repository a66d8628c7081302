"""The long tests of `scripts/endure`: each run is a function with an empty folder, and gives figures with `faults`."""
