"""What the host hands to a patch at a cross-attention, without running a model."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TEXT_TOKENS = 77


@dataclass(frozen=True)
class Call:
    """Arguments of one call, for a batch of `len(chunks)` times `batch` rows."""

    query: Tensor
    key: Tensor
    value: Tensor
    options: dict[str, Any]

    def of(self, patch: Any) -> Tensor:
        return patch(self.query, self.key, self.value, self.options)


def call_at(site: Any, chunks: list[int], batch: int = 1, grid: tuple[int, int] = (4, 6), seed: int = 0) -> Call:
    generator = torch.Generator().manual_seed(seed)
    rows = len(chunks) * batch
    query = torch.randn(rows, grid[0] * grid[1], site.width, generator=generator)
    key, value = torch.randn(2, rows, TEXT_TOKENS, site.width, generator=generator)
    options = {
        "cond_or_uncond": list(chunks),
        "uuids": list(range(len(chunks))),
        "activations_shape": [rows, site.width, *grid],
        "n_heads": site.heads,
        "dim_head": site.width // site.heads,
        "attn_precision": None,
        "block": site.block[:2],
        "block_index": site.block[2],
    }
    return Call(query, key, value, options)


def patches_of(model: Any) -> dict[tuple[Any, ...], Any]:
    """The replacement functions of a MODEL's cross-attentions by block."""
    return model.model_options["transformer_options"]["patches_replace"]["attn2"]
