"""Renders texts into sound for others: in turns, beside the lines of the loudspeaker."""
