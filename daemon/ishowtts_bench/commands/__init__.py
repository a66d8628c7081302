"""The commands of `ishowtts bench`."""
