"""Pictures before encoding: any picture in, the exact squares that the encoder sees out."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..enums import NamedEnum
from ..errors import PictureError, SettingError

# Mean colour of CLIP's training pictures: zero after normalisation, so it says nothing to the encoder.
# https://github.com/openai/CLIP/blob/a1d0717/clip/clip.py
NEUTRAL = (0.48145466, 0.4578275, 0.40821073)
_MOST_TILES = 8
_LONGEST = 16  # sides of the square up to which a crop is exactly the host's
MAX_SHARPENING = 2.0
_SHARPENED_DETAIL = 1.0  # pixels of the encoder's square; a patch of the published encoders is 14 wide


class Fit(NamedEnum):
    """How a picture that is not square becomes square."""

    CROP = "crop"  # a square of the picture's shorter side, as the host crops
    PAD = "pad"  # the whole picture on a neutral square
    STRETCH = "stretch"  # the whole picture, distorted
    TILES = "tiles"  # the whole picture padded, and squares that cover it, each as a picture of its own


class Position(NamedEnum):
    """Which part of a picture that is not square a crop takes."""

    CENTER = "center"
    TOP = "top"
    BOTTOM = "bottom"
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes what the encoder sees."""

    fit: Fit = Fit.CROP
    position: Position = Position.CENTER
    sharpening: float = 0.0


def check_sharpening(sharpening: float) -> None:
    """Raises SettingError for a sharpening that is NaN or out of range."""
    if not 0 <= sharpening <= MAX_SHARPENING:
        raise SettingError(f"Expected a sharpening from 0 to {MAX_SHARPENING}, got {sharpening}. Correct it.")


def blend_with_neutral(pictures: Tensor, keep: Tensor) -> Tensor:
    """The pictures where `keep` is 1, the neutral colour where it is 0."""
    neutral = torch.tensor(NEUTRAL, dtype=pictures.dtype, device=pictures.device)[:, None, None]
    return torch.lerp(neutral.expand_as(pictures), pictures, keep)


def apply_mask(pictures: Tensor, mask: Tensor) -> Tensor:
    """The pictures with everything outside the mask made neutral.

    A mask of another size is scaled; one mask serves all pictures. Raises PictureError for NaN or another count.
    """
    if mask.ndim < 2 or 0 in mask.shape or not bool(mask.isfinite().all()):
        raise PictureError(f"The mask of the reference is empty or holds NaN (shape {tuple(mask.shape)}).")
    mask = mask.float().reshape(-1, 1, *mask.shape[-2:])
    if len(mask) not in (1, len(pictures)):
        raise PictureError(f"Expected one mask, or one for each of the {len(pictures)} pictures, got {len(mask)}.")
    size = (pictures.shape[-2], pictures.shape[-1])
    if tuple(mask.shape[-2:]) != size:
        mask = functional.interpolate(mask, size, mode="bilinear", align_corners=False)
    return blend_with_neutral(pictures, mask.clamp(0, 1).to(pictures))


def fitted(
    pictures: Tensor, size: int, fit: Fit, position: Position = Position.CENTER, sharpening: float = 0.0
) -> Float[Tensor, "squares 3 size size"]:
    """Squares of the encoder's size in steps of 1/255, which the host's own preprocessing leaves as they are.

    `position` acts on a crop alone. Sharpening acts at the encoder's size, on the picture and not on its ground.
    """
    how = Preparation(fit, position, sharpening)
    squares = {Fit.CROP: _crop, Fit.PAD: _pad, Fit.STRETCH: _stretch, Fit.TILES: _tiles}[fit](pictures, size, how)
    return (squares.clamp(0, 1) * 255).round() / 255


def blurred(pictures: Float[Tensor, "pictures 3 height width"], sigma: float) -> Tensor:
    """The pictures under a Gaussian of this many pixels; beyond the border its pixels go on."""
    reach = math.ceil(3 * sigma)
    kernel = torch.exp(-((torch.arange(-reach, reach + 1) / sigma) ** 2) / 2).to(pictures)
    kernel = kernel / kernel.sum()
    planes = pictures.flatten(0, 1)[:, None]
    planes = functional.pad(planes, [reach] * 4, mode="replicate")
    planes = functional.conv2d(planes, kernel[None, None, :, None])
    return functional.conv2d(planes, kernel[None, None, None]).reshape(pictures.shape)


def _resized(pictures: Tensor, height: int, width: int, sharpening: float) -> Tensor:
    """Unsharp masking after scaling: `x + amount * (x - blurred(x))`."""
    if tuple(pictures.shape[-2:]) != (height, width):
        pictures = functional.interpolate(pictures, (height, width), mode="bicubic", antialias=True)
    return torch.lerp(blurred(pictures, _SHARPENED_DETAIL), pictures, 1 + sharpening) if sharpening else pictures


def _stretch(pictures: Tensor, size: int, how: Preparation) -> Tensor:
    return _resized(pictures, size, size, how.sharpening)


def _crop(pictures: Tensor, size: int, how: Preparation) -> Tensor:
    shorter = min(pictures.shape[-2:])
    scale = size / shorter
    # A very long picture is cut before it is enlarged: its middle may move by half a pixel, nothing huge is made.
    height, width = (min(side, _LONGEST * shorter) for side in pictures.shape[-2:])
    pictures = _window(pictures, height, width, how.position)
    pictures = _resized(pictures, round(scale * height), round(scale * width), how.sharpening)
    return _window(pictures, size, size, how.position)


def _window(pictures: Tensor, height: int, width: int, position: Position) -> Tensor:
    top = _start(pictures.shape[-2] - height, position is Position.TOP, position is Position.BOTTOM)
    left = _start(pictures.shape[-1] - width, position is Position.LEFT, position is Position.RIGHT)
    return pictures[..., top : top + height, left : left + width]


def _start(spare: int, first: bool, last: bool) -> int:
    return 0 if first else spare if last else spare // 2


def _pad(pictures: Tensor, size: int, how: Preparation) -> Tensor:
    height, width = pictures.shape[-2:]
    scale = size / max(height, width)
    inner = _resized(pictures, max(1, round(scale * height)), max(1, round(scale * width)), how.sharpening)
    square = torch.tensor(NEUTRAL, dtype=inner.dtype, device=inner.device)[:, None, None]
    square = square.expand(len(inner), 3, size, size).clone()
    top, left = (size - inner.shape[-2]) // 2, (size - inner.shape[-1]) // 2
    square[..., top : top + inner.shape[-2], left : left + inner.shape[-1]] = inner
    return square


def _tiles(pictures: Tensor, size: int, how: Preparation) -> Tensor:
    height, width = pictures.shape[-2:]
    # Beyond eight tiles each shows a longer piece of the picture instead, padded like the whole.
    side = max(min(height, width), math.ceil(max(height, width) / _MOST_TILES))
    count = math.ceil(max(height, width) / side)
    if count == 1:
        return _crop(pictures, size, how)
    offsets = [round(index * (max(height, width) - side) / (count - 1)) for index in range(count)]
    corners = [(at, 0) if height > width else (0, at) for at in offsets]
    tiles = [_pad(pictures[..., top : top + side, left : left + side], size, how) for top, left in corners]
    return torch.stack([_pad(pictures, size, how), *tiles], dim=1).flatten(0, 1)
