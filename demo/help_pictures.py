"""Draws pictures of the help pages in web/docs: `python3 launcher/bootstrap.py - demo.help_pictures`.

The pages of loaders and of nodes for faces show photographs of the nodes themselves, taken in a browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..ip_adapter.attention.region import softened
from ..ip_adapter.bases.base_models import BASE_SITES
from ..ip_adapter.host.images import as_image, as_pictures
from ..ip_adapter.prompts.encoder import Reference, squares_of
from ..ip_adapter.prompts.noise import Noise, NoiseOptions, negative_noise
from ..ip_adapter.prompts.preprocess import Fit, Preparation
from ..ip_adapter.weights.crossfade import crossfade
from ..ip_adapter.weights.keyframes import Easing
from ..ip_adapter.weights.layer_plot import layer_picture
from ..ip_adapter.weights.layer_weights import LayerWeights
from ..ip_adapter.weights.schedule import WeightSchedule
from ..ip_adapter.weights.schedule_plot import schedule_picture

ROOT = Path(__file__).resolve().parent.parent
SIDE, GAP = 128, 8


def main(_: Sequence[str]) -> None:
    """Writes them into web/docs/pictures."""
    for node, shown in pictures().items():
        pixels = Image.fromarray((shown.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
        pixels.save(ROOT / "web" / "docs" / "pictures" / f"{node}.jpg", quality=85)


def pictures() -> Mapping[str, Tensor]:
    """Node ids and pictures, (height, width, 3) in [0, 1]."""
    return {
        "ApplyIPAdapter": _column_of_weights(),
        "EncodeImagePrompt": _fits(),
        "CombineImagePrompts": _two_references(),
        "NegativeNoise": _noises(),
        "LayerWeights": as_image(layer_picture(LayerWeights((), "style and composition"), BASE_SITES["SDXL"]))[0],
        "WeightSchedule": _curves(WeightSchedule.parse("0:1, 0.5:0.2", "0:0, 8:1, 15:1", 16, Easing.LINEAR)),
        "CrossfadeSchedule": _curves(WeightSchedule(curves=crossfade(3, 8, 8, Easing.EASE_IN_OUT))),
        "SoftenMask": _soft_mask(),
        "AttentionMaps": _read("workflows/26_attention_maps.jpg", 320),
        "LabelledGrid": _read("workflows/27_weight_sweep.jpg", 320),
    }


def _read(path: str, side: int = SIDE) -> Tensor:
    with Image.open(ROOT / path) as picture:
        width = round(side * picture.width / picture.height)
        small = picture.convert("RGB").resize((width, side), Image.Resampling.LANCZOS)
    return torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).reshape(side, width, 3) / 255


def _row(*shown: Tensor) -> Tensor:
    """Side by side on white."""
    gap = torch.ones(shown[0].shape[0], GAP, 3)
    return torch.cat([part for picture in shown for part in (picture, gap)][:-1], dim=1)


def _below(*rows: Tensor) -> Tensor:
    """One under the other on white: help is read in a narrow column."""
    width = max(row.shape[1] for row in rows)
    wide = [functional.pad(row, (0, 0, 0, width - row.shape[1], 0, GAP), value=1.0) for row in rows]
    return torch.cat(wide)[:-GAP]


def _column_of_weights() -> Tensor:
    """A reference and the weights 0, 0.25, 0.5, 0.75, 1 out of what `run.py dev demo-measure` drew."""
    column = _read("docs/demo.png", 7 * SIDE)[:, 4 * SIDE : 5 * SIDE].split(SIDE)
    return _below(_row(column[0], *column[2:4]), _row(*column[4:]))


def _fits() -> Tensor:
    """A wide picture, and what the encoder sees of it."""
    wide = _read("demo/pictures/wide.png")
    fits = (Fit.CROP, Fit.PAD, Fit.STRETCH)
    seen = [squares_of(Reference(as_pictures(wide[None])), SIDE, Preparation(fit))[0].movedim(0, -1) for fit in fits]
    return _below(wide, _row(*seen))


def _two_references() -> Tensor:
    names = ("demo/pictures/reference.png", "demo/pictures/unwanted.png", "workflows/03_several_pictures.jpg")
    return _row(*map(_read, names))


def _noises() -> Tensor:
    photograph = _read("demo/pictures/photograph.jpg")
    choices = [NoiseOptions(kind, 0.6, 0.0, 0, SIDE) for kind in Noise]
    noisy = [as_image(negative_noise(as_pictures(photograph[None]), choice))[0] for choice in choices]
    return _below(_row(photograph, *noisy[:2]), _row(*noisy[2:]))


def _curves(schedule: WeightSchedule) -> Tensor:
    return as_image(schedule_picture(schedule))[0]


def _soft_mask() -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    disc = ((rows - 128) ** 2 + (columns - 110) ** 2 < 70**2).float()
    return _row(*(mask[..., None].expand(-1, -1, 3) for mask in (disc, softened(disc, 24))))
