"""Decoupled cross-attention written out by hand, with nothing of the pack: equation 5 of arXiv 2308.06721."""

import torch
from torch import Tensor
from torch.nn import functional


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """One row (tokens, width) at a time and one head at a time: `softmax(q k^T / sqrt(d)) v`."""
    parts = []
    for q, k, v in zip(query.chunk(heads, -1), key.chunk(heads, -1), value.chunk(heads, -1), strict=True):
        scores = (q @ k.T) / q.shape[-1] ** 0.5
        exponents = (scores - scores.max(dim=-1, keepdim=True).values).exp()
        parts.append((exponents / exponents.sum(dim=-1, keepdim=True)) @ v)
    return torch.cat(parts, dim=-1)


def image_tokens(features: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """(pictures * 4, context width) of (pictures, feature width): the standard adapter's linear layer and norm."""
    projected = features @ tensors["image_proj.proj.weight"].T + tensors["image_proj.proj.bias"]
    tokens = projected.reshape(len(features) * 4, -1)
    scale, shift = tensors["image_proj.norm.weight"], tensors["image_proj.norm.bias"]
    return functional.layer_norm(tokens, tokens.shape[-1:]) * scale + shift


def image_row(
    query: Tensor, tokens: Tensor, strengths: Tensor, tensors: dict[str, Tensor], n: int, heads: int
) -> Tensor:
    """The image branch of site number `n` for one row of queries; `strengths` has one number per token."""
    key = tokens @ tensors[f"ip_adapter.{2 * n + 1}.to_k_ip.weight"].T
    value = tokens @ tensors[f"ip_adapter.{2 * n + 1}.to_v_ip.weight"].T
    return attention(query, key, strengths[:, None] * value, heads)
