"""The image branch against its formula, softmax(Q K'^T / sqrt(d)) V'."""

import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.attention.image_attention import image_attention

SHAPES = {
    "one row": (1, 1, 9, 4, 2, 3),
    "two chunks": (2, 2, 16, 16, 4, 8),
    "two chunks of three rows": (2, 6, 12, 4, 8, 5),
    "three chunks of two rows, one head": (3, 6, 7, 5, 1, 16),
    "one query": (2, 4, 1, 257, 2, 4),
    "one token": (1, 3, 5, 1, 2, 4),
}


def by_hand(query, key, value):
    """Every row on its own, with the tokens of the chunk it lies in."""
    chunks, heads, _, width = key.shape
    rows = []
    for index, row in enumerate(query.double()):
        chunk = index // (len(query) // chunks)
        parts = []
        for head in range(heads):
            scores = row[:, head * width : (head + 1) * width] @ key[chunk, head].double().T / math.sqrt(width)
            weights = (scores - scores.amax(-1, keepdim=True)).exp()
            parts.append(weights / weights.sum(-1, keepdim=True) @ value[chunk, head].double())
        rows.append(torch.cat(parts, dim=-1))
    return torch.stack(rows)


def draw(shape, generator):
    chunks, rows, queries, tokens, heads, width = shape
    query = torch.randn(rows, queries, heads * width, generator=generator)
    key, value = (torch.randn(chunks, heads, tokens, width, generator=generator) for _ in "kv")
    return query, key, value


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equals_the_formula(shape, generator):
    query, key, value = draw(shape, generator)
    out = image_attention(query, key, value)
    assert out.shape == query.shape
    assert (out - by_hand(query, key, value)).abs().max() < 1e-6


def test_query_that_is_a_view_of_another_layout(generator):
    query, key, value = draw((2, 4, 6, 5, 2, 4), generator)
    strided = query.transpose(1, 2).contiguous().transpose(1, 2)
    assert not strided.is_contiguous()
    assert (image_attention(strided, key, value) - by_hand(query, key, value)).abs().max() < 1e-6


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 1.6e-2)])
def test_half_precisions_stay_near_the_formula(dtype, tolerance, generator):
    """Two roundings of a value (weight and result), each by at most half the precision's step at 1, times two."""
    assert tolerance <= 2.1 * torch.finfo(dtype).eps
    query, key, value = (x.to(dtype) for x in draw((2, 4, 16, 16, 4, 8), generator))
    difference = image_attention(query, key, value).double() - by_hand(query, key, value)
    assert difference.abs().max() < tolerance * value.abs().max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_scores_beyond_the_range_of_float16_stay_finite(dtype, generator):
    query, key, value = (x.to(dtype) for x in draw((1, 2, 16, 8, 1, 64), generator))
    query, key = 150 * query, 150 * key
    scores = query.double() @ key[0, 0].double().T / 8
    assert scores.abs().max() > 65504
    out = image_attention(query, key, value)
    assert out.isfinite().all()
    assert out.abs().max() <= value.abs().max()
