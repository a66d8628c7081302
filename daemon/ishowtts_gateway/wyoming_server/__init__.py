"""The Wyoming server, by which Home Assistant's Assist and other Wyoming clients get speech."""
