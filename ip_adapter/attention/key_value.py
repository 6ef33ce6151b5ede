"""The image keys and values of a cross-attention."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.shapes import Float
from ..bases.backbone import Site

NEGATIVE, POSITIVE = 0, 1  # rows of everything that has both; this order matches the host's usual batch


@dataclass(frozen=True, eq=False)
class KeyValue:
    """The image keys and values of one site, negative row first."""

    site: Site
    key: Float[Tensor, "2 heads tokens head_width"]
    value: Float[Tensor, "2 heads tokens head_width"]


def swap_guidance(item: KeyValue) -> KeyValue:
    """The negative rows see the positive pictures and the positive rows nothing, so guidance leads away from them.

    Source: the "precise" weight types of ComfyUI_IPAdapter_plus,
    https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/9d076a3df0d2763cef5510ec5ab807f6632c39f5/CrossAttentionPatch.py#L105
    """
    key, value = item.key[POSITIVE], item.value[POSITIVE]
    return KeyValue(item.site, torch.stack([key, key]), torch.stack([value, torch.zeros_like(value)]))
