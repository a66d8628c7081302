"""A stand-in for NVIDIA's driver library, which `pynvml` finds in a process whose LD_LIBRARY_PATH has its folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("fake_nvml.c")
LIBRARY = "libnvidia-ml.so.1"
FUNCTION_NOT_FOUND = 13
HANG = -1
ABORT = -2


def build(folder: Path) -> Path:
    """Compiles the library. Its soname is that of the real one."""
    path = folder / LIBRARY
    command = ["gcc", "-Wall", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}", "-o", path, SOURCE]
    subprocess.run(command, check=True)
    return path


class FakeDriver:
    """The driver behind the library.

    Args:
        answers: The file that the library reads at each call. The variable FAKE_NVML must name it. Without it, the
            library says that there is no driver.
    """

    def __init__(self, answers: Path) -> None:
        self._answers = answers

    def answer(self, **answers: int | tuple[int, int]) -> None:
        """Sets the answer of each function: a value, or a status and a value. The others are not supported."""
        lines = []
        for name, found in answers.items():
            status, value = found if isinstance(found, tuple) else (0, found)
            lines.append(f"{name} {status} {value}\n")
        new = self._answers.with_suffix(".new")
        new.write_text("".join(lines))
        new.replace(self._answers)  # the library must not see half a file

    def unload(self) -> None:
        """Takes the driver away. A call that hangs ends."""
        self._answers.unlink(missing_ok=True)
