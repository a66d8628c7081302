"""ALSA without a card: PCMs and cards that a test defines."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


class Alsa:
    """An ALSA configuration in a file of the test. The library reads it again when its mtime changes."""

    _times = itertools.count(1)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asound = folder / "asound"
        self.asound.mkdir()
        self.path = folder / "asoundrc"
        self.define("")

    def define(self, text: str) -> None:
        """Defines these PCMs and no others."""
        self.path.write_text(f"</usr/share/alsa/alsa.conf>\n{text}\n")
        os.utime(self.path, (next(self._times),) * 2)

    def into_file(self, name: str) -> str:
        """Returns a PCM that writes what it plays to NAME.wav, without waiting."""
        return f'pcm.{name} {{ type file file "{self.folder / name}.wav" format wav slave.pcm null }}\n'

    def plug_in(
        self, number: int, card_id: str, *, usb: bool = False, screen: bool | None = None, capture: bool = False
    ) -> None:
        """Adds a card to /proc. `open_cards` lets it be opened."""
        folder = self.asound / f"card{number}"
        folder.mkdir()
        (folder / "id").write_text(f"{card_id}\n")
        if usb:
            (folder / "usbid").write_text("1234:5678\n")
        if screen is not None:
            (folder / "eld#0.0").write_text(f"monitor_present\t\t{int(screen)}\n")
        with (self.asound / "pcm").open("a") as pcm:
            ends = "playback 1 : capture 1" if capture else "playback 1"
            pcm.write(f"{number:02}-00: {card_id} Audio : {card_id} Audio : {ends}\n")

    def pull(self, number: int) -> None:
        """Removes a card from /proc."""
        shutil.rmtree(self.asound / f"card{number}")
        lines = (self.asound / "pcm").read_text().splitlines(keepends=True)
        (self.asound / "pcm").write_text("".join(line for line in lines if not line.startswith(f"{number:02}-")))

    def open_cards(self) -> None:
        """Lets `plughw:CARD=…` of any name be opened. Each writes to its own file."""
        files = f'file {{ @func concat strings [ "{self.folder}/" $CARD ".wav" ] }}'
        self.define(
            "pcm.!plughw { @args [ CARD DEV ] @args.CARD { type string } @args.DEV { type integer default 0 }\n"
            f"type plug slave.pcm {{ type file format wav slave.pcm null {files} }} }}"
        )

    def played(self, name: str) -> NDArray[np.int16]:
        """Returns the samples of NAME.wav, a column for each channel. Its header is valid once the PCM is closed."""
        samples, _ = soundfile.read(self.folder / f"{name}.wav", dtype="int16", always_2d=True)
        return np.asarray(samples, np.int16)
