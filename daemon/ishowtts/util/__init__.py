"""Helpers that every package may use: threads, files, logs, processes, samples."""
