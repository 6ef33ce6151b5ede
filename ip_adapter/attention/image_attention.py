"""The image branch of decoupled cross-attention."""

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
