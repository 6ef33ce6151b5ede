"""Running sums of a run: where they are added, and which run they belong to."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.applying.application import Application
from ip_adapter_nodes.ip_adapter.attention.image_attention import attention_shares
from ip_adapter_nodes.ip_adapter.attention.region import WHOLE
from ip_adapter_nodes.ip_adapter.attention_maps.run import Run, SumKey, whole_grid
from ip_adapter_nodes.ip_adapter.errors import SettingError

BLOCK = ("middle", 0, 0)
SIGMAS = [14.6, 6.0, 3.0, 1.5, 0.7, 0.3, 0.1, 0.05, 0.0]


@pytest.fixture
def application():
    return Application("test", tokens=2)


@pytest.mark.parametrize("keys", [1, 3])
def test_shares_are_the_softmax_over_tokens_and_add_up_to_1(generator, keys):
    query = torch.randn(3, 10, 8, generator=generator)
    key = torch.randn(keys, 2, 5, 4, generator=generator)
    given = attention_shares(query, key)
    for row in range(3):
        for place in range(10):
            by_head = []
            for head in range(2):
                exponents = [
                    torch.exp(query[row, place, 4 * head : 4 * head + 4] @ key[row % keys, head, token] / 2)
                    for token in range(5)
                ]
                by_head.append(torch.stack(exponents) / sum(exponents))
            assert torch.allclose(given[row, :, place], sum(by_head) / 2, atol=1e-6)
    assert torch.allclose(given.sum(1), torch.ones(3, 10))


@pytest.mark.parametrize("sigmas", [SIGMAS, SIGMAS[::-1]], ids=["sampling", "unsampling"])
def test_parts_share_the_steps_evenly(sigmas):
    run = Run(1, sigmas, 4)
    assert [run.part(sigma) for sigma in sigmas[:-1]] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_levels_between_steps_count_as_the_nearest():
    assert Run(1, SIGMAS, 8).part(5.0) == 1
    assert Run(1, SIGMAS, 8).part(3.9) == 2
    assert Run(1, [10.0, 0.0], 16).part(10.0) == 0


def test_the_mean_is_over_the_calls_that_show_a_place(application):
    run, place = Run(3, SIGMAS, 1), SumKey(application, BLOCK, 0, (4, 4))
    run.add(place, WHOLE, (0, 1, 2), torch.full((3, 1, 4, 4), 1.0))
    run.add(place, (0.0, 0.5, 1.0, 0.5), (0, 2), torch.full((2, 1, 4, 2), 4.0))
    mean = run.sums[place].mean
    assert mean[1].unique().tolist() == [1.0]
    for row in (0, 2):
        assert mean[row, 0, :, :2].unique().tolist() == [1.0]
        assert mean[row, 0, :, 2:].unique().tolist() == [2.5]


@pytest.mark.parametrize(
    ("grid", "window", "whole"),
    [
        ((8, 8), WHOLE, (8, 8)),
        ((8, 4), (0.0, 0.5, 1.0, 0.5), (8, 8)),
        ((3, 5), (0.25, 0.0, 0.3, 0.625), (10, 8)),
    ],
)
def test_the_grid_of_the_whole_follows_from_that_of_a_window(grid, window, whole):
    assert whole_grid(grid, window) == whole


def test_a_window_at_the_border_stays_inside(application):
    run, place = Run(1, SIGMAS, 1), SumKey(application, BLOCK, 0, (5, 5))
    run.add(place, (0.7, 0.7, 0.3, 0.3), (0,), torch.ones(1, 1, 2, 2))
    assert run.sums[place].calls[0, 0].nonzero().tolist() == [[3, 3], [3, 4], [4, 3], [4, 4]]


def test_too_much_is_refused_before_it_is_allocated(application):
    run = Run(100_000, SIGMAS, 4)
    with pytest.raises(SettingError, match=r"100000 latents in 4 parts .* 512 MB"):
        run.add(SumKey(application, BLOCK, 0, (64, 64)), WHOLE, (0,), torch.zeros(1, 17, 64, 64))
    assert run.size == 0


def test_a_run_knows_what_it_gave_in_any_precision(generator):
    run, result = Run(1, SIGMAS, 4), torch.randn(1, 4, 8, 8, generator=generator)
    assert not run.gave(result)
    run.end(result)
    assert run.gave(result.clone())
    assert run.gave(result.half())
    assert not run.gave(result + 1e-6)
    assert not run.gave(result[:, :, :4])
    damaged = result.index_fill(1, torch.tensor(2), torch.nan)
    run.end(damaged)
    assert run.gave(damaged.clone())
