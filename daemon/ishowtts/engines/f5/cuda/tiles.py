"""The sizes that our own kernels can be launched with, for names that do not need Triton.

Which is fastest depends on the GPU and on the shape, so they are measured.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """The part of a product or of a convolution that one program computes.

    Attributes:
        rows, columns: rows and outputs of the part.
        depth: number of inputs that are loaded and multiplied at a time.
        warps: number of warps of a program.
        stages: number of such loads in shared memory: one is multiplied while the others arrive.
    """

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int

    @property
    def name(self) -> str:
        """The sizes, like `128x128x64`."""
        return f"{self.rows}x{self.columns}x{self.depth}"


@dataclass(frozen=True)
class AttentionTile:
    """The size of the tiles of attention, and how many warps and loads in flight a program has."""

    queries: int
    keys: int
    warps: int
    stages: int

    @property
    def name(self) -> str:
        """The sizes, like `128x64`."""
        return f"{self.queries}x{self.keys}"


TILES = (
    Tile(128, 128, 32, warps=8, stages=4),
    Tile(128, 128, 64, warps=8, stages=3),
    Tile(128, 256, 64, warps=8, stages=3),
    Tile(128, 64, 64, warps=4, stages=3),
)
"""Tiles of products of fp16 and bf16."""

INT8_TILES = (
    Tile(128, 128, 64, warps=8, stages=4),
    Tile(128, 128, 128, warps=8, stages=3),
    Tile(128, 64, 128, warps=4, stages=3),
)
"""Tiles of products of s8."""

CONV_TILES = (
    Tile(64, 64, 64, warps=4, stages=3),
    Tile(128, 64, 64, warps=4, stages=3),
    Tile(128, 64, 32, warps=4, stages=4),
)
"""Tiles of positional convolutions: their rows are frames, their columns and depth channels of a group."""

ATTENTION_TILES = (
    AttentionTile(64, 64, warps=4, stages=3),
    AttentionTile(128, 64, warps=4, stages=3),
    AttentionTile(128, 128, warps=8, stages=2),
)
"""Small tiles of attention occupy a GPU with many processors; large ones load keys less often."""

NORM_VARIANTS: dict[str, dict[str, int]] = {
    "1-warp": {"warps": 1},
    "1-warp-2-rows": {"warps": 1, "rows": 2},
    "4-rows": {"rows": 4},
}
"""Arguments of `TritonElementwise` that are worth a measurement beside its default, by name."""
