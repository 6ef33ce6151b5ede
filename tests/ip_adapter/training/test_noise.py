"""Chance as a function of the seed and of a sample's place in the run."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import TrainingError
from ip_adapter_nodes.ip_adapter.training.noise import Order, draw

SHAPE, TIMESTEPS = (4, 8, 8), 1000


def test_a_sample_is_drawn_alike_in_every_batch():
    """Whatever the batch, and whatever was drawn before: on that rest resuming and several processes."""
    together = draw(1, [4, 5, 6, 7], SHAPE, TIMESTEPS)
    for row, place in enumerate([4, 5, 6, 7]):
        alone = draw(1, [place], SHAPE, TIMESTEPS)
        assert torch.equal(alone.noise[0], together.noise[row])
        assert alone.timesteps[0] == together.timesteps[row]
        assert alone.chances[0] == together.chances[row]


def test_places_and_seeds_differ():
    noises = [draw(seed, [place], SHAPE, TIMESTEPS).noise for seed in range(3) for place in range(3)]
    assert len({tuple(noise.flatten().tolist()) for noise in noises}) == 9


def test_draws_are_spread_as_they_should_be():
    drawn = draw(0, range(4000), (1, 1, 1), TIMESTEPS)
    for values, mean, deviation in (
        (drawn.noise.flatten(), 0.0, 1.0),
        (drawn.timesteps.float(), (TIMESTEPS - 1) / 2, TIMESTEPS / 12**0.5),
        (drawn.chances, 0.5, 1 / 12**0.5),
    ):
        five_errors = 5 * deviation / 4000**0.5
        assert float(values.mean()) == pytest.approx(mean, abs=five_errors)
        assert float(values.std()) == pytest.approx(deviation, abs=five_errors)
    assert (int(drawn.timesteps.min()), int(drawn.timesteps.max())) >= (0, TIMESTEPS - 20)


def test_every_sample_comes_once_in_every_epoch_and_in_another_order():
    epochs = [Order(7, seed=3)(range(7 * n, 7 * n + 7)) for n in range(3)]
    assert [sorted(numbers) for numbers in epochs] == [list(range(7))] * 3
    assert len({tuple(numbers) for numbers in epochs}) == 3
    assert Order(7, seed=3)(range(5, 10)) == [*epochs[0][5:], *epochs[1][:3]]


def test_no_samples_are_refused():
    with pytest.raises(TrainingError, match="at least one picture"):
        Order(0, seed=0)
