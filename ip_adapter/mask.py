"""Where an adapter acts: a mask over the picture, as a factor for every query token of a site."""

import torch
from torch import Tensor

from ..models.shapes import Float
from .errors import PictureError

Window = tuple[float, float, float, float]  # top, left, height, width of what the model sees, as shares of the picture
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)
_MAX_KEPT = 64  # grids of one run: a few resolutions, times the windows of a tiled sampler


class Region:
    """A mask in [0, 1] over the whole picture; immutable but for a bounded store of what it has already computed."""

    def __init__(self, mask: Float[Tensor, "height width"]) -> None:
        self.mask = mask
        self._kept: dict[object, Tensor] = {}

    def __deepcopy__(self, memo: object) -> "Region":
        return self

    def factors(self, grid: tuple[int, int], windows: tuple[Window, ...], like: Tensor) -> Tensor:
        """One factor per token, (chunks, 1, tokens, 1), for a grid (height, width) of tokens and a window per chunk."""
        key = (grid, windows, like.dtype, like.device)
        if key not in self._kept:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            rows = torch.stack([grid_factors(self.mask, grid, window) for window in windows])
            self._kept[key] = rows.reshape(len(windows), 1, -1, 1).to(like)
        return self._kept[key]


def region_of(mask: Tensor) -> Region | float:
    """The region of a host MASK, or 1.0 for a mask of ones and 0.0 for a mask of zeros.

    Raises PictureError for an empty mask, NaN, or more than one mask.
    """
    if mask.ndim < 2 or 0 in mask.shape or not bool(mask.isfinite().all()):
        raise PictureError(f"The mask is empty or holds NaN (shape {tuple(mask.shape)}). Check the node that made it.")
    mask = mask.float().reshape(-1, *mask.shape[-2:])
    if len(mask) != 1:
        raise PictureError(f"Expected one mask, got {len(mask)}. Choose one of them.")
    area = mask[0].clamp(0, 1).cpu()
    low, high = float(area.min()), float(area.max())
    return low if low == high and low in (0.0, 1.0) else Region(area)


def grid_factors(mask: Tensor, grid: tuple[int, int], window: Window = WHOLE) -> Float[Tensor, "height width"]:
    """The mean of the mask over the cell of each token, exact for any ratio of sizes.

    A cell that covers parts of pixels weighs them by the part, so a half-plane stays half at every size.
    """
    top, left, height, width = window
    rows = _cell_means(mask.shape[0], grid[0], top, height)
    columns = _cell_means(mask.shape[1], grid[1], left, width)
    return (rows @ mask.double() @ columns.T).float()


def _cell_means(pixels: int, cells: int, start: float, length: float) -> Tensor:
    """(cells, pixels): the share of each pixel in the mean over each cell of [start, start + length]."""
    edges = (start + length * torch.arange(cells + 1, dtype=torch.float64) / cells) * pixels
    position = torch.arange(pixels, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], position + 1) - torch.maximum(edges[:-1, None], position)
    overlap = overlap.clamp(min=0)
    return overlap / overlap.sum(dim=1, keepdim=True).clamp(min=1e-12)
