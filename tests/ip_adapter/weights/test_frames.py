"""Factors over frames: which frame a row shows, and what it gets."""

from types import SimpleNamespace

import pytest
import torch
from ip_adapter_nodes.ip_adapter.applying.application import Application
from ip_adapter_nodes.ip_adapter.attention.key_value import KeyValue
from ip_adapter_nodes.ip_adapter.attention.region import Region
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.host.evaluator import Evaluator
from ip_adapter_nodes.ip_adapter.host.patches import OPTION, SiteBranch, SitePatch
from ip_adapter_nodes.ip_adapter.host.rows import frames_of
from ip_adapter_nodes.ip_adapter.weights.frames import MAX_FRAMES, RowFactors
from ip_adapter_nodes.ip_adapter.weights.schedule import Timing, WeightSchedule

SITE = Site(("input", 1, 0), 8, 6, 2)
CURVE = (0.0, 0.5, 1.0, -2.0, 0.25)


def window(frames, anchor=None, dim=0):
    return {"context_window": SimpleNamespace(index_list=frames, dim=dim, causal_anchor_index=anchor)}


def animate(frames):
    return {"ad_params": {"sub_idxs": frames, "full_length": len(CURVE)}}


VIEWS = {
    "all": ({}, (0, 1, 2, 3, 4)),
    "host's window": (window([2, 3, 4]), (2, 3, 4)),
    "host's window, looped": (window([4, 0, 1]), (4, 0, 1)),
    "host's window with a frame before it": (window([2, 3], anchor=1), (1, 2, 3)),
    "host's window at the start": (window([0, 1], anchor=-1), (0, 1)),
    "host's window along another dimension": (window([0, 1], dim=2), (0, 1, 2, 3, 4)),
    "AnimateDiff's sub-indices, permuted": (animate([3, 0, 4, 1]), (3, 0, 4, 1)),
    "AnimateDiff without windows": (animate(None), (0, 1, 2, 3, 4)),
}


def branch_of(application, seed=0):
    generator = torch.Generator().manual_seed(seed)
    key, value = (torch.randn(2, 2, 5, 4, generator=generator) for _ in "kv")
    return SiteBranch(application, KeyValue(SITE, key, value), torch.float32)


def application_of(curve=CURVE, region=None, points=((0.0, 1.0),)):
    sigmas = tuple(10.0 - 10.0 * step / 1000 for step in range(1001))
    return Application("frames", Timing(10.0, 0.0, WeightSchedule(points, curves=(curve,)), sigmas), region)


def evaluated(evaluator, options, rows, sigma=10.0):
    """What the evaluator hands to the sites, for a batch of so many rows in all."""
    seen = {}
    arguments = (torch.zeros(rows, 4, 3, 4), torch.full((rows,), sigma), None, None, None, options)
    evaluator(lambda *inner: seen.update(inner[-1]), *arguments)
    return seen


def image(branch, query, options):
    """What the branch adds to a text attention of zeros."""
    return SitePatch(lambda *arguments: torch.zeros_like(query), [branch])(query, query, query, options)


@pytest.mark.parametrize(("options", "frames"), VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("chunks", [[1, 0], [0], [0, 1, 0]], ids=str)
def test_every_row_gets_the_factor_of_its_frame(options, frames, chunks, generator):
    application = application_of()
    branch, plain = branch_of(application), branch_of(Application("plain", None, None))
    query = torch.randn(len(chunks) * len(frames), 12, 8, generator=generator)
    seen = evaluated(Evaluator([application]), options | {"cond_or_uncond": chunks}, len(query))
    expected = image(plain, query, {"cond_or_uncond": chunks})
    for row, part in enumerate(image(branch, query, seen)):
        factor = CURVE[frames[row % len(frames)]]
        assert torch.allclose(part, factor * expected[row], rtol=1e-6, atol=1e-7)


def test_progress_and_frames_multiply():
    evaluator = Evaluator([application := application_of(points=((0.0, 1.0), (1.0, 0.0)))])
    seen = evaluated(evaluator, {"cond_or_uncond": [1, 0]}, 10, sigma=2.5)
    assert seen[OPTION].factors[application].factors == pytest.approx([0.25 * factor for factor in CURVE] * 2)


def test_a_mask_and_frames_multiply(generator):
    region = Region(torch.rand(1, 6, 8, generator=generator))
    both, masked = application_of(region=region), Application("masked", None, region)
    query = torch.randn(10, 12, 8, generator=generator)
    options = {"cond_or_uncond": [1, 0], "activations_shape": (10, 8, 3, 4)}
    seen = evaluated(Evaluator([both, masked]), options, 10)
    expected = image(branch_of(masked), query, seen) * torch.tensor(CURVE * 2)[:, None, None]
    assert torch.allclose(image(branch_of(both), query, seen), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("factor", [0.0, 1.0, -0.5])
def test_equal_factors_are_one_number(factor):
    application = application_of((factor,) * 5)
    seen = evaluated(Evaluator([application]), {"cond_or_uncond": [1, 0]}, 10)
    assert seen[OPTION].factors[application] == factor


def test_a_window_of_silent_frames_is_silent():
    application = application_of((0.0, 0.0, 1.0))
    seen = evaluated(Evaluator([application]), window([1, 0]), 2)
    assert seen[OPTION].factors[application] == 0.0


def test_the_tensor_of_a_window_is_made_once(generator):
    evaluator = Evaluator([application := application_of()])
    query = torch.randn(2, 12, 8, generator=generator)
    factors = []
    for _ in range(3):
        seen = evaluated(evaluator, window([1, 3]), 2)
        image(branch_of(application), query, seen)
        factors.append(seen[OPTION].factors[application])
    assert factors[0] is factors[1] is factors[2]
    one, other = (factors[0]._column.at(query.device, query.dtype)[0] for _ in range(2))
    assert one is other


def test_the_store_of_factors_is_bounded():
    frames = 600
    evaluator = Evaluator([application_of(tuple(n / frames for n in range(frames)))])
    for first in range(frames - 1):
        evaluated(evaluator, window([first, first + 1]), 2)
    assert len(evaluator._kept) <= 64


def test_rows_that_are_no_frames_are_named():
    with pytest.raises(SettingError, match="4 rows for 3 frames"):
        frames_of(window([0, 1, 2]), 4)


@pytest.mark.parametrize(("options", "rows"), [({}, 6), (window([3, 4, 5]), 3), (animate([5, 0]), 2)])
def test_a_frame_that_the_schedule_does_not_have_is_named(options, rows):
    with pytest.raises(SettingError, match="made for 5 frames and the model is shown frame 5"):
        evaluated(Evaluator([application_of()]), options, rows)


def test_a_run_of_another_length_is_refused_before_it_starts():
    evaluator, started = Evaluator([application_of()]), []
    for rows in (4, 6):
        with pytest.raises(SettingError, match=f"made for 5 frames and the batch of latents has {rows}"):
            evaluator.check_batch(lambda *arguments: started.append(1), torch.zeros(rows, 4, 8, 8))
    assert started == []
    assert evaluator.check_batch(lambda noise, kept, **extra: (kept, extra), torch.zeros(5, 4, 8, 8), 1, seed=2) == (
        1,
        {"seed": 2},
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_factors_have_the_precision_of_the_query(dtype):
    factors = RowFactors((1.0, 0.5))
    ones = torch.ones(2, 3, 4, dtype=dtype)
    assert torch.equal(factors.add_to(ones, ones), torch.tensor([2.0, 1.5], dtype=dtype)[:, None, None].expand(2, 3, 4))


def test_the_most_frames_there_can_be():
    curve = tuple(n / MAX_FRAMES for n in range(MAX_FRAMES))
    seen = evaluated(Evaluator([application := application_of(curve)]), {}, MAX_FRAMES)
    assert seen[OPTION].factors[application].factors == curve
