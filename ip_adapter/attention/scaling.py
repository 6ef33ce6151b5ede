"""How a weight enters the image branch: in its values alone, or in its keys too."""

from torch import Tensor

from ...models.shapes import Float
from ..enums import NamedEnum

_FULL_WIDTH = 1280  # of the deepest sites


class Scaling(NamedEnum):
    """The choices of ComfyUI_IPAdapter_plus, by its names; w is the weight, of a site and token.

    https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/9d076a3df0d2763cef5510ec5ab807f6632c39f5/CrossAttentionPatch.py
    """

    VALUES = "V only"  # softmax(Q K^T) (w V): the paper's
    KEYS_VALUES = "K+V"  # softmax(Q (w K)^T) (w V): a low weight also blurs what attention picks out
    PENALISED = "K+V w/ C penalty"  # the same with w * width / 1280: shallow sites, which are narrow, see less


def scaled(
    key: Float[Tensor, "2 tokens width"],
    value: Float[Tensor, "2 tokens width"],
    weights: Float[Tensor, "2 tokens"],
    how: Scaling,
) -> tuple[Tensor, Tensor]:
    """Keys and values of a site with the weight of every token in them."""
    if how is Scaling.PENALISED:
        weights = weights * (key.shape[-1] / _FULL_WIDTH)
    weights = weights[:, :, None]
    return key if how is Scaling.VALUES else key * weights, value * weights
