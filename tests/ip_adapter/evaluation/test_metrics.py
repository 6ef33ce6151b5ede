"""CLIP-I and CLIP-T by their definitions, and how means are told."""

import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.evaluation.metrics import Mean, clip_i, clip_t


def cosine(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def test_clip_i_is_the_cosine_and_clip_t_the_clip_score(generator):
    made, others = torch.randn(2, 5, 7, generator=generator)
    angles = [cosine(*rows) for rows in zip(made.tolist(), others.tolist(), strict=True)]
    assert min(angles) < 0 < max(angles)
    assert clip_i(made, others).tolist() == pytest.approx(angles, abs=1e-6)
    assert clip_t(made, others).tolist() == pytest.approx([2.5 * max(angle, 0) for angle in angles], abs=1e-6)


def test_a_mean_has_the_margin_of_its_standard_error():
    mean = Mean.of([1.0, 2.0, 3.0, 6.0])
    assert (mean.value, mean.count) == (3.0, 4)
    assert mean.margin == pytest.approx(1.96 * math.sqrt((4 + 1 + 0 + 9) / 3 / 4))
    assert (str(Mean.of([0.5])), str(Mean(0.5, 0.1, 9))) == ("0.500", "0.500 ± 0.100")
