"""The pictures of a sweep side by side, with the weights above and the weight type over each row."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...models.shapes import Float
from ..errors import PictureError, SettingError
from ..weights.plot import Canvas
from .fit import fitted
from .sweep import WeightSweep

GAP, BAND = 8, 32


def labelled_grid(
    pictures: Sequence[Float[Tensor, "n height width channels"]], sweep: WeightSweep, size: int
) -> Float[Tensor, "n h w 3"]:
    """A sheet for every picture of a batch; `pictures` has one batch for every cell of the sweep, row by row.

    `size` is the longer side of a cell in pixels. Raises SettingError and PictureError for pictures that do not fit.
    """
    if len(pictures) != len(sweep.cells):
        raise SettingError(
            f"Expected a picture for each of the {len(sweep.cells)} cells of the sweep, got {len(pictures)}. Connect "
            "weight and weight_type of Weight Sweep to one Apply node, and what is made with it to this one."
        )
    shapes = {tuple(batch.shape[:3]) for batch in pictures}
    if len(shapes) > 1:
        raise PictureError(f"Expected pictures of one size and number in all cells, got {sorted(shapes)}.")
    cells = [fitted(batch[..., :3].cpu(), size) for batch in pictures]
    return torch.stack([_sheet([batch[n] for batch in cells], sweep) for n in range(len(cells[0]))])


def _sheet(cells: Sequence[Float[Tensor, "h w 3"]], sweep: WeightSweep) -> Float[Tensor, "height width 3"]:
    columns = len(sweep.weights)
    step = cells[0].shape[1] + GAP
    width = columns * step + GAP
    bands = [_band(width, [(GAP + step * n, label) for n, label in enumerate(sweep.columns)], 16)]
    for row, kind in enumerate(sweep.weight_types):
        bands += [_band(width, [(GAP, kind)], 18), _row(cells[row * columns : (row + 1) * columns])]
    return torch.cat([*bands, torch.ones(GAP, width, 3)])


def _row(cells: Sequence[Float[Tensor, "h w 3"]]) -> Float[Tensor, "h width 3"]:
    gap = torch.ones(cells[0].shape[0], GAP, 3)
    return torch.cat([part for cell in cells for part in (gap, cell)] + [gap], dim=1)


def _band(width: int, labels: Sequence[tuple[int, str]], size: int) -> Float[Tensor, "band width 3"]:
    canvas = Canvas(width, BAND)
    for left, label in labels:
        canvas.text((left, BAND / 2), label, size)
    return canvas.image()[0]
