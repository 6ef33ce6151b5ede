"""The image branch of decoupled cross-attention, and how much of it goes to each token."""

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float


def image_attention(
    query: Float[Tensor, "rows queries width"],
    key: Float[Tensor, "chunks heads tokens head_width"],
    value: Float[Tensor, "chunks heads tokens head_width"],
) -> Float[Tensor, "rows queries width"]:
    """`softmax(Q K'^T / sqrt(d)) V'` for rows that come in equal chunks, each chunk with tokens of its own.

    All rows of a chunk share keys and values, so they are folded into one long row of queries: nothing is repeated.
    Source: Ye et al. 2023 (arXiv 2308.06721), the second term of equation 5.
    """
    chunks, heads, _, head_width = key.shape
    queries = query.reshape(chunks, -1, heads, head_width).transpose(1, 2)
    out = functional.scaled_dot_product_attention(queries, key, value)
    return out.transpose(1, 2).reshape(query.shape)


def attention_shares(
    query: Float[Tensor, "rows queries width"], key: Float[Tensor, "keys heads tokens head_width"]
) -> Float[Tensor, "rows tokens queries"]:
    """`softmax(Q K'^T / sqrt(d))`, the mean over the heads, in float32; `keys` is one for all rows, or one for each.

    It is computed beside the attention that makes the picture, which never forms this matrix.
    Source: Ye et al. 2023 (arXiv 2308.06721), the softmax in the second term of equation 5.
    """
    heads, head_width = key.shape[1], key.shape[3]
    shares = torch.zeros(len(query), key.shape[2], query.shape[1], device=query.device)
    queries = query.unflatten(-1, (heads, head_width))
    for head in range(heads):  # one at a time, for the sake of memory
        scores = key[:, head].float() @ queries[:, :, head].float().transpose(1, 2)
        shares += (scores * head_width**-0.5).softmax(1)
    return shares / heads
