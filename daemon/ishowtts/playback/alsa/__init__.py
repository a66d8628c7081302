"""ALSA sound cards, through ALSA's own library (ctypes).

pyalsaaudio waits for ever for a busy card, plays at the wrong speed if a device refuses the rate, and does not offer
`snd_pcm_delay`. A system service cannot reach a user's PipeWire.
"""
