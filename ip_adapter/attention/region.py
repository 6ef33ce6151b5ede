"""Where an adapter acts: a mask over the picture, as a factor for every query token of a site."""

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..caches import BoundedCache
from ..errors import PictureError, SettingError

Window = tuple[float, float, float, float]  # top, left, height, width of what the model sees, as shares of the picture
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)
MAX_FEATHER = 1024
_MAX_KEPT = 64  # grids of one run: a few resolutions, times the windows of a tiled sampler or of an animation


class Region:
    """Masks in [0, 1] over the whole picture, one for all rows of the batch or one for each.

    Immutable but for a bounded store of what it has already computed.
    """

    def __init__(self, masks: Float[Tensor, "frames height width"]) -> None:
        self.masks = masks
        self._kept: BoundedCache[object, Tensor] = BoundedCache(_MAX_KEPT)

    def __deepcopy__(self, memo: object) -> "Region":
        return self

    @property
    def is_empty(self) -> bool:
        """Whether it is nowhere."""
        return not bool(self.masks.any())

    @property
    def is_by_frame(self) -> bool:
        return len(self.masks) > 1

    def check_batch(self, rows: int) -> None:
        """Raises SettingError unless there is one mask for all rows of a batch, or one for each."""
        if len(self.masks) not in (1, rows):
            raise SettingError(
                f"There are {len(self.masks)} masks and the batch of latents has {rows}. Connect one mask, or one for "
                "each latent."
            )

    def factors(
        self, grid: tuple[int, int], windows: tuple[Window, ...], frames: tuple[int, ...], like: Tensor
    ) -> Tensor:
        """One factor per token for a grid (height, width) of them, a window per chunk and a frame per row of a chunk.

        (chunks, rows, tokens, 1), with 1 in place of chunks or rows that are all alike.
        """
        windows = windows[:1] if len(set(windows)) == 1 else windows
        frames = frames if self.is_by_frame else (0,)
        key = (grid, windows, frames, like.dtype, like.device)
        return self._kept.get(key, lambda: self._factors(grid, windows, frames).to(like))

    def _factors(self, grid: tuple[int, int], windows: tuple[Window, ...], frames: tuple[int, ...]) -> Tensor:
        masks = self.masks if frames == tuple(range(len(self.masks))) else self.masks[list(frames)]
        return torch.stack([grid_factors(masks, grid, window) for window in windows]).flatten(-2)[..., None]


def region_of(mask: Tensor) -> Region | None:
    """The region of a host MASK, None for masks of ones, which is everywhere.

    Raises PictureError for an empty mask and for NaN.
    """
    if mask.ndim < 2 or 0 in mask.shape or not bool(mask.isfinite().all()):
        raise PictureError(f"The mask is empty or holds NaN (shape {tuple(mask.shape)}). Check the node that made it.")
    masks = mask.float().reshape(-1, *mask.shape[-2:]).clamp(0, 1).cpu()
    return None if bool((masks == 1).all()) else Region(masks)


def softened(masks: Float[Tensor, "*frames height width"], feather: int) -> Float[Tensor, "*frames height width"]:
    """Masks whose edges pass from 0 to 1 within `feather` pixels on either side, half at the edge itself.

    The mean over a triangle, as two means over boxes. Raises SettingError for a feather that is not from 0 to 1024.
    """
    if not 0 <= feather <= MAX_FEATHER:
        raise SettingError(f"Expected a feather from 0 to {MAX_FEATHER} pixels, got {feather}.")
    soft = masks.float().reshape(-1, 1, *masks.shape[-2:])
    soft = functional.pad(soft, (feather,) * 4, mode="replicate")
    for box in ((feather + 1, 1), (1, feather + 1)) * 2:
        soft = functional.avg_pool2d(soft, box, stride=1)
    return soft.reshape(masks.shape)


def grid_factors(masks: Tensor, grid: tuple[int, int], window: Window = WHOLE) -> Float[Tensor, "... height width"]:
    """The mean of each mask over the cell of each token, exact for any ratio of sizes.

    A cell that covers parts of pixels weighs them by the part, so a half-plane stays half at every size.
    """
    top, left, height, width = window
    rows = _cell_means(masks.shape[-2], grid[0], top, height)
    columns = _cell_means(masks.shape[-1], grid[1], left, width)
    return (rows @ masks.double() @ columns.T).float()


def _cell_means(pixels: int, cells: int, start: float, length: float) -> Tensor:
    """(cells, pixels): the share of each pixel in the mean over each cell of [start, start + length]."""
    edges = (start + length * torch.arange(cells + 1, dtype=torch.float64) / cells) * pixels
    position = torch.arange(pixels, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], position + 1) - torch.maximum(edges[:-1, None], position)
    overlap = overlap.clamp(min=0)
    return overlap / overlap.sum(dim=1, keepdim=True).clamp(min=1e-12)
