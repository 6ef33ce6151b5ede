"""Where a weight enters the image branch, against the formulas written out."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.attention.scaling import Scaling, scaled


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_every_scaling_is_its_formula(width, generator):
    key, value = (torch.randn(2, 5, width, generator=generator) for _ in range(2))
    weights = torch.tensor([[0.5] * 5, [1.0, 1.0, -0.3, 0.0, 2.0]])
    penalty = width / 1280
    for side in (0, 1):
        for token, weight in enumerate(weights[side].tolist()):
            expected = {
                Scaling.VALUES: (1.0, weight),
                Scaling.KEYS_VALUES: (weight, weight),
                Scaling.PENALISED: (weight * penalty, weight * penalty),
            }
            assert set(expected) == set(Scaling)
            for how, factors in expected.items():
                given = scaled(key, value, weights, how)
                for tensor, original, factor in zip(given, (key, value), factors, strict=True):
                    assert torch.allclose(tensor[side, token], original[side, token] * factor, atol=1e-6)


def test_keys_are_untouched_where_values_alone_are_scaled(generator):
    key, value = (torch.randn(2, 5, 32, generator=generator) for _ in range(2))
    assert scaled(key, value, torch.zeros(2, 5), Scaling.VALUES)[0] is key
