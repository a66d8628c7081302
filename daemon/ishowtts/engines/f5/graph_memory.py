"""Watches the GPU's memory that CUDA graphs take outside of torch's allocator."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

log = logging.getLogger(__name__)

SPARE_MB = 1000.0
"""The memory that captures in idle time leave free. The longest run that has no graph allocates half of it: its widest
layer has 8192 frames, two branches and 3072 values of two bytes, and a few such tensors live at once. The rest is for
other programs: the GPU of a board shares the memory of the machine, and the desktop or a monitor's cache grows there.
"""


class GraphMemory:
    """Measures what captures take, and says when there is too little memory for more of them.

    Nothing is measured without a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        # CUDA does not count the page cache of a board as free, though it gives way.
        self._shared = self._cuda and bool(torch.cuda.get_device_properties(0).is_integrated)
        self._taken_mb = 0.0
        self._told = False

    @property
    def taken_mb(self) -> float | None:
        """Memory in MB that captures took outside of torch's allocator; `None` without a GPU.

        It is the graphs, and the code of kernels that was loaded for them. What other programs took or freed during a
        capture is counted too, because CUDA only tells what is free on the whole GPU.
        """
        return max(0.0, self._taken_mb) if self._cuda else None

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count the memory that captures inside take."""
        before_mb = self._outside_mb()
        try:
            yield
        finally:
            self._taken_mb += self._outside_mb() - before_mb

    def has_room(self) -> bool:
        """Whether there is enough memory for another capture in idle time. If not, the log says so once."""
        if not self._cuda or self._free_mb() >= SPARE_MB:
            return True
        if not self._told:
            log.info(
                "%.0f MB of GPU memory are free: graphs are captured in idle time only above %.0f MB, "
                "and without one a length is slower",
                self._free_mb(), SPARE_MB,
            )  # fmt: skip
            self._told = True
        return False

    def _outside_mb(self) -> float:
        """The GPU's memory that is in use, apart from torch's; only differences of it have a meaning."""
        return -self._free_mb() - torch.cuda.memory_reserved() / 1e6 if self._cuda else 0.0

    def _free_mb(self) -> float:
        free = psutil.virtual_memory().available if self._shared else torch.cuda.mem_get_info()[0]
        return float(free) / 1e6
