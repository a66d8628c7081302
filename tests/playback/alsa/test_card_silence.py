"""Which controls of a card decide whether sound is heard."""

from __future__ import annotations

import pytest

from ishowtts.playback.alsa.card_silence import PlaybackControl, silence_of
from ishowtts.playback.audibility import SilentCause

ON, OFF, AT_0 = (False, False), (True, False), (False, True)
MUTED, VOLUME_0 = SilentCause.CARD_MUTED, SilentCause.CARD_VOLUME_0


def controls(**states: tuple[bool, bool]) -> list[PlaybackControl]:
    return [PlaybackControl(name.replace("_", " "), off, at_0) for name, (off, at_0) in states.items()]


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (controls(), None),
        (controls(Master=ON, PCM=ON, Speaker=ON), None),
        (controls(Master=OFF, PCM=ON, Speaker=ON), MUTED),
        (controls(Master=ON, PCM=AT_0, Speaker=ON), VOLUME_0),
        (controls(Master=AT_0, PCM=OFF), MUTED),
        (controls(Digital=AT_0, Headphone=ON), VOLUME_0),
        # A switch at one output does not matter while another one is on.
        (controls(Master=ON, Speaker=OFF, Headphone=ON), None),
        (controls(Master=ON, Speaker=OFF, Headphone=AT_0), MUTED),
        (controls(Master=ON, Speaker=AT_0, Headphone=AT_0), VOLUME_0),
        (controls(Front=OFF, Headphone=OFF, Master=ON), MUTED),
        # What is played beside the speech, or recorded, or goes to S/PDIF, does not matter.
        (controls(Master=ON, PCM=ON, Speaker=ON, Mic=OFF, Beep=OFF, IEC958=OFF, Center=OFF), None),
        (controls(Master=OFF, IEC958=ON), MUTED),
        # USB cards name their only control as they like.
        (controls(Jabra=OFF), MUTED),
        (controls(Jabra=AT_0), VOLUME_0),
        (controls(Jabra=ON), None),
        (controls(Jabra=OFF, Loop=OFF), None),
        (controls(Headset=OFF, Mic=ON), MUTED),
        # HDMI: a card with nothing but switches of this name, one for each output.
        ([PlaybackControl("IEC958", off=True), PlaybackControl("IEC958", off=True)], MUTED),
        ([PlaybackControl("IEC958", off=True), PlaybackControl("IEC958")], None),
    ],
)
def test_a_card_is_silent_if_no_way_through_it_is_open(found: list[PlaybackControl], cause: SilentCause | None) -> None:
    silence = silence_of("hw:CARD=A", found)
    assert (silence and silence.cause) == cause


def test_the_analog_controls_of_a_card_do_not_silence_its_hdmi_output() -> None:
    found = controls(Master=OFF, IEC958=ON)
    assert silence_of("hw:CARD=A", found, hdmi=True) is None
    assert silence_of("hw:CARD=A", controls(Master=ON, IEC958=OFF), hdmi=True) is not None
    assert silence_of("hw:CARD=A", controls(Master=OFF), hdmi=True) is None


def test_the_sentence_names_every_silent_control_and_a_command_for_the_first() -> None:
    silence = silence_of("hw:CARD=UAC2", controls(Line_Out=OFF, Headphone=(True, True), Master=ON))
    assert silence is not None
    assert silence.sentence == (
        "the sound card hw:CARD=UAC2 is muted (Line Out, Headphone), so nothing is heard; "
        "run `amixer -D hw:CARD=UAC2 sset 'Line Out' unmute`"
    )


def test_the_volume_of_the_control_that_the_appliance_sets_is_its_own_matter() -> None:
    """A low volume of the appliance may be the lowest step of the control."""
    assert silence_of("hw:CARD=A", controls(PCM=AT_0, Speaker=ON), own_control="PCM") is None
    assert silence_of("hw:CARD=A", controls(PCM=OFF, Speaker=ON), own_control="PCM") is not None
    assert silence_of("hw:CARD=A", controls(PCM=ON, Speaker=AT_0, Headphone=OFF), own_control="Speaker") is None
