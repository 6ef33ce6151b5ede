"""Where the published UNets have cross-attention: for pictures and tables without a model at hand.

What is applied to a model always follows from the model itself (sites.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..patching.sites import Site

Part = Mapping[int, tuple[int, int]]  # number of the block: (width, transformers deep)


@dataclass(frozen=True)
class _Layout:
    inputs: Part
    outputs: Part
    middle: Part
    context_width: int
    heads: int | None = None  # everywhere alike; else one per 64 channels

    def sites(self) -> tuple[Site, ...]:
        parts = {"input": self.inputs, "output": self.outputs, "middle": self.middle}
        return tuple(
            Site((part, number, depth), width, self.context_width, self.heads or width // 64)
            for part, blocks in parts.items()
            for number, (width, depths) in blocks.items()
            for depth in range(depths)
        )


def _each(numbers: range | tuple[int, ...], width: int, depth: int) -> dict[int, tuple[int, int]]:
    return dict.fromkeys(numbers, (width, depth))


_SD_INPUTS = _each((1, 2), 320, 1) | _each((4, 5), 640, 1) | _each((7, 8), 1280, 1)
_SD_OUTPUTS = _each(range(3, 6), 1280, 1) | _each(range(6, 9), 640, 1) | _each(range(9, 12), 320, 1)
_LAYOUTS = {
    "Stable Diffusion 1.5": _Layout(_SD_INPUTS, _SD_OUTPUTS, {0: (1280, 1)}, 768, heads=8),
    "Stable Diffusion 2": _Layout(_SD_INPUTS, _SD_OUTPUTS, {0: (1280, 1)}, 1024),
    "SDXL": _Layout(
        _each((4, 5), 640, 2) | _each((7, 8), 1280, 10),
        _each(range(3), 1280, 10) | _each(range(3, 6), 640, 2),
        {0: (1280, 10)},
        2048,
    ),
    "SDXL refiner": _Layout(
        _each((4, 5), 768, 4) | _each((7, 8), 1536, 4),
        _each(range(3, 6), 1536, 4) | _each(range(6, 9), 768, 4),
        {0: (1536, 4)},
        1280,
    ),
    "SSD-1B": _Layout(
        _each((4, 5), 640, 2) | _each((7, 8), 1280, 4),
        _each((0, 1), 1280, 4) | {2: (1280, 10), 3: (640, 2)} | _each((4, 5), 640, 1),
        {},
        2048,
    ),
    "Segmind Vega": _Layout(
        _each((4, 5), 640, 1) | _each((7, 8), 1280, 2),
        _each(range(3), 1280, 2) | _each(range(3, 6), 640, 1),
        {},
        2048,
    ),
    "KOALA 700M": _Layout({3: (640, 2), 5: (1280, 5)}, _each((0, 1), 1280, 5) | _each((2, 3), 640, 2), {}, 2048),
}
BASE_SITES: Mapping[str, tuple[Site, ...]] = {name: layout.sites() for name, layout in _LAYOUTS.items()}
