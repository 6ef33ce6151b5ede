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
    pictures: Sequence[Float[Tensor, "n 3 height width"]], sweep: WeightSweep, size: int
) -> Float[Tensor, "n 3 h w"]:
    """A sheet for every picture of a batch; `pictures` has one batch for every cell of the sweep, row by row.

    `size` is the longer side of a cell in pixels. Raises SettingError and PictureError for pictures that do not fit.
    """
    if len(pictures) != len(sweep.cells):
        raise SettingError(
            f"Expected a picture for each of the {len(sweep.cells)} cells of the sweep, got {len(pictures)}. Connect "
            "weight and weight_type of Weight Sweep to one Apply node, and what is made with it to this one."
        )
    shapes = {(len(batch), *batch.shape[-2:]) for batch in pictures}
    if len(shapes) > 1:
        raise PictureError(f"Expected pictures of one size and number in all cells, got {sorted(shapes)}.")
    cells = [fitted(batch.cpu(), size) for batch in pictures]
    return torch.stack([_sheet([batch[n] for batch in cells], sweep) for n in range(len(cells[0]))])


def _sheet(cells: Sequence[Float[Tensor, "3 h w"]], sweep: WeightSweep) -> Float[Tensor, "3 height width"]:
    columns = len(sweep.weights)
    step = cells[0].shape[-1] + GAP
    width = columns * step + GAP
    bands = [_band(width, [(GAP + step * n, label) for n, label in enumerate(sweep.columns)], 16)]
    for row, kind in enumerate(sweep.weight_types):
        bands += [_band(width, [(GAP, kind)], 18), _row(cells[row * columns : (row + 1) * columns])]
    return torch.cat([*bands, torch.ones(3, GAP, width)], dim=1)


def _row(cells: Sequence[Float[Tensor, "3 h w"]]) -> Float[Tensor, "3 h width"]:
    gap = torch.ones(3, cells[0].shape[1], GAP)
    return torch.cat([part for cell in cells for part in (gap, cell)] + [gap], dim=2)


def _band(width: int, labels: Sequence[tuple[int, str]], size: int) -> Float[Tensor, "3 band width"]:
    canvas = Canvas(width, BAND)
    for left, label in labels:
        canvas.text((left, BAND / 2), label, size)
    return canvas.picture()[0]
