"""Encoding in batches, with an encoder whose features are easy to know."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.encoder import BATCH, Reference, encode, image_prompt, squares_of
from ip_adapter_nodes.ip_adapter.preprocess import NEUTRAL, Fit
from ip_adapter_nodes.ip_adapter.prompt import Combine, Features


class MeanColour:
    """Features are the mean colour of each square; remembers the sizes of its batches."""

    size = 8

    def __init__(self):
        self.batches = []

    def encode(self, squares):
        self.batches.append(len(squares))
        mean = squares.mean((2, 3))
        return Features(mean, mean[:, None].repeat(1, 5, 1))

    def encode_zeros(self):
        return Features(torch.zeros(1, 3), torch.zeros(1, 5, 3))


@pytest.mark.parametrize("count", [1, BATCH, BATCH + 1, 3 * BATCH - 1])
def test_batches_are_bounded_and_in_order(count, generator):
    squares = torch.rand(count, 3, 8, 8, generator=generator)
    encoder, ticks = MeanColour(), []
    features = encode(encoder, squares, ticks.append)
    assert torch.allclose(features.pooled, squares.mean((2, 3)))
    assert features.penultimate.shape == (count, 5, 3)
    assert max(encoder.batches) <= BATCH
    assert ticks == encoder.batches
    assert sum(ticks) == count


def test_cancelling_stops_at_once(generator):
    def cancel(done):
        raise KeyboardInterrupt

    encoder = MeanColour()
    with pytest.raises(KeyboardInterrupt):
        encode(encoder, torch.rand(3 * BATCH, 3, 8, 8, generator=generator), cancel)
    assert encoder.batches == [BATCH]


def test_prompt_of_squares(generator):
    positive, negative = torch.rand(2, 3, 8, 8, generator=generator), torch.rand(1, 3, 8, 8, generator=generator)
    prompt = image_prompt(MeanColour(), positive, negative, Combine.AVERAGE, 0.5)
    assert torch.allclose(prompt.positive.pooled, positive.mean((2, 3)))
    assert torch.allclose(prompt.negative.pooled, negative.mean((2, 3)))
    assert (prompt.weights, prompt.combine) == ((0.5, 0.5), Combine.AVERAGE)
    assert not prompt.zero_picture.pooled.any()


def test_reference_is_masked_in_its_own_frame_and_then_fitted():
    """The middle eight of sixteen columns remain; the mask keeps the left half of the picture, so four of them."""
    mask = torch.cat([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)], dim=2)
    square = squares_of(Reference(torch.ones(1, 8, 16, 3), mask), 8, Fit.CROP)[0]
    neutral = (torch.tensor(NEUTRAL) * 255).round() / 255
    assert torch.equal(square[..., :4], torch.ones(3, 8, 4))
    assert torch.equal(square[..., 4:], neutral[:, None, None].expand(3, 8, 4))
