"""The composition root: `daemon` starts every part in order, and stops them in reverse.

Its face brings nothing along: commands that need one small part of it would wait for all of it.
"""
