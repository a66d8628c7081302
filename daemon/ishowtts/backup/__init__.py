"""Backups of the appliance: its queue, voices, chimes and configuration in one archive, and their restore."""
