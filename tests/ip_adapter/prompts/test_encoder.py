"""Encoding in batches, with an encoder whose features are easy to know."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.ip_adapter.prompts.encoder import (
    BATCH,
    EncodeOptions,
    Reference,
    encode,
    image_prompt,
    squares_of,
)
from ip_adapter_nodes.ip_adapter.prompts.features import Features
from ip_adapter_nodes.ip_adapter.prompts.negative import Negative, negative_square
from ip_adapter_nodes.ip_adapter.prompts.preprocess import NEUTRAL, Fit, Position, Preparation
from ip_adapter_nodes.ip_adapter.prompts.prompt import Origin

POSITIONS = (Position.CENTER, Position.LEFT, Position.RIGHT)


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


def picture(count, generator, height=8, width=8):
    return Reference(torch.rand(count, height, width, 3, generator=generator).movedim(-1, 1))


def mean_colours(reference):
    return ((reference.pictures * 255).round() / 255).mean((-1, -2))


@pytest.mark.parametrize("batch", [1, 5, BATCH, 1000])
@pytest.mark.parametrize("count", [1, BATCH, BATCH + 1, 3 * BATCH - 1])
def test_batches_are_bounded_and_in_order(count, batch, generator):
    squares = torch.rand(count, 3, 8, 8, generator=generator)
    encoder, ticks = MeanColour(), []
    features = encode(encoder, squares, ticks.append, batch)
    assert torch.allclose(features.pooled, squares.mean((2, 3)))
    assert features.penultimate.shape == (count, 5, 3)
    assert max(encoder.batches) == min(batch, count)
    assert ticks == encoder.batches
    assert sum(ticks) == count


def test_cancelling_stops_at_once(generator):
    def cancel(done):
        raise KeyboardInterrupt

    encoder = MeanColour()
    with pytest.raises(KeyboardInterrupt):
        encode(encoder, torch.rand(3 * BATCH, 3, 8, 8, generator=generator), cancel)
    assert encoder.batches == [BATCH]


def test_prompt_of_references(generator):
    positive, negative = picture(2, generator), picture(1, generator)
    choice = EncodeOptions(combine="average", weight=0.5, sharpening=0.0)
    prompt, seen = image_prompt(MeanColour(), positive, negative, choice)
    assert torch.allclose(prompt.positive.pooled, mean_colours(positive))
    assert torch.allclose(prompt.negative.pooled, mean_colours(negative))
    assert torch.equal(seen.mean((2, 3)), prompt.positive.pooled)
    assert (prompt.weights, prompt.combine) == ((0.5, 0.5), Combine.AVERAGE)
    assert prompt.origin == Origin(8, Preparation())
    assert not prompt.zero_picture.pooled.any()


def test_progress_counts_both_sides_and_stops_at_the_batch_size(generator):
    told = []
    choice = EncodeOptions(encode_batch_size=2, fit="tiles")
    encoder = MeanColour()
    image_prompt(
        encoder,
        picture(1, generator, 8, 24),
        picture(3, generator),
        choice,
        lambda total: told.append(total) or told.append,
    )
    assert told == [7, 2, 2, 2, 1]
    assert encoder.batches == [2, 2, 2, 1]


def test_weights_belong_to_pictures_and_their_tiles(generator):
    choice = EncodeOptions(fit=Fit.TILES, weight=0.5, weights="1, -0.2")
    prompt, seen = image_prompt(MeanColour(), picture(2, generator, 8, 24), None, choice)
    assert len(seen) == 8
    assert prompt.weights == pytest.approx([0.5] * 4 + [-0.1] * 4)


def test_as_many_weights_as_pictures(generator):
    encoder = MeanColour()
    with pytest.raises(SettingError, match="pictures: 2, got 3"):
        image_prompt(encoder, picture(2, generator), None, EncodeOptions(weights="1, 2, 3"))
    assert encoder.batches == []


@pytest.mark.parametrize("kind", Negative)
def test_what_stands_in_for_a_negative_picture(kind, generator):
    prompt, _ = image_prompt(MeanColour(), picture(1, generator), None, EncodeOptions(negative=kind.value))
    square = negative_square(kind, 8)
    assert prompt.negative_kind is kind
    assert (prompt.negative is None) == (square is None)
    if square is not None:
        assert torch.equal(prompt.negative.pooled, square.mean((2, 3)))


@pytest.mark.parametrize("kind", [kind for kind in Negative if kind is not Negative.AUTO])
def test_a_negative_picture_and_something_in_its_place(kind, generator):
    with pytest.raises(SettingError, match=f"negative is set to {kind.value}.*set negative to auto"):
        image_prompt(MeanColour(), picture(1, generator), picture(1, generator), EncodeOptions(negative=kind))


@pytest.mark.parametrize(
    "wrong", [{"weight": 11.0}, {"sharpening": 2.5}, {"sharpening": -0.1}, {"encode_batch_size": 0}]
)
def test_numbers_out_of_range(wrong):
    with pytest.raises(SettingError, match=rf"got {next(iter(wrong.values()))}"):
        EncodeOptions(**wrong)


def test_reference_is_masked_in_its_own_frame_and_then_fitted():
    """The middle eight of sixteen columns remain; the mask keeps the left half of the picture, so four of them."""
    mask = torch.cat([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)], dim=2)
    reference, neutral = Reference(torch.ones(1, 3, 8, 16), mask), (torch.tensor(NEUTRAL) * 255).round() / 255
    middle, left, right = (squares_of(reference, 8, Preparation(position=at))[0] for at in POSITIONS)
    assert torch.equal(middle[..., :4], torch.ones(3, 8, 4))
    assert torch.equal(middle[..., 4:], neutral[:, None, None].expand(3, 8, 4))
    assert torch.equal(left, torch.ones(3, 8, 8))
    assert torch.equal(right, neutral[:, None, None].expand(3, 8, 8))
