"""Patches at the sites, against `base + factor * mask * Attention(Q, K', V')` row by row."""

from copy import deepcopy

import pytest
import torch
from factories import relative_error
from ip_adapter_nodes.ip_adapter.applying.application import Application
from ip_adapter_nodes.ip_adapter.attention.key_value import NEGATIVE, POSITIVE, KeyValue
from ip_adapter_nodes.ip_adapter.attention.region import WHOLE, Region, grid_factors
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.host.evaluator import Evaluator
from ip_adapter_nodes.ip_adapter.host.patches import OPTION, Evaluation, SiteBranch, SitePatch
from ip_adapter_nodes.ip_adapter.weights.schedule import Timing

SITE = Site(("input", 1, 0), 8, 6, 2)
ALWAYS = Application("always")
GRID = (3, 4)


def branch_of(application=ALWAYS, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    key, value = (torch.randn(2, 2, 5, 4, generator=generator) for _ in "kv")
    return SiteBranch(application, KeyValue(SITE, key, value), dtype)


def base(query, key, value, options):
    return 10 * query


def by_hand(branch, query, chunks, factor=1.0, masks=None):
    """Chunk by chunk and head by head, in float64."""
    rows = []
    for index, part in enumerate(query.double().chunk(len(chunks))):
        side = NEGATIVE if chunks[index] == 1 else POSITIVE
        heads = []
        for head in range(2):
            scores = part[..., 4 * head : 4 * head + 4] @ branch.key[side, head].double().T / 2
            heads.append(scores.softmax(-1) @ branch.value[side, head].double())
        image = torch.cat(heads, dim=-1) * factor
        rows.append(image if masks is None else image * masks[index].double().reshape(1, -1, 1))
    return torch.cat(rows)


def run(patch, query, **options):
    return patch(query, query, query, options)


@pytest.mark.parametrize("chunks", [(1, 0), (0, 1), (0,), (1,), (0, 0), (1, 1), (0, 1, 0), (1, 0, 0, 1)], ids=str)
@pytest.mark.parametrize("rows", [1, 3])
def test_rows_follow_cond_or_uncond_in_any_order(chunks, rows, generator):
    query = torch.randn(rows * len(chunks), 12, 8, generator=generator)
    branch = branch_of()
    image = run(SitePatch(base, [branch]), query, cond_or_uncond=list(chunks)) - 10 * query
    assert relative_error(image.double(), by_hand(branch, query, chunks)) < 1e-5


def test_without_the_hosts_word_all_rows_are_positive(generator):
    query = torch.randn(3, 12, 8, generator=generator)
    branch = branch_of()
    assert (
        relative_error((run(SitePatch(base, [branch]), query) - 10 * query).double(), by_hand(branch, query, (0,)))
        < 1e-5
    )


def test_branches_add_up_on_a_foreign_base(generator):
    query = torch.randn(2, 12, 8, generator=generator)
    branches = [branch_of(seed=seed) for seed in (1, 2)]
    image = run(SitePatch(base, branches), query, cond_or_uncond=[1, 0]) - 10 * query
    assert relative_error(image.double(), sum(by_hand(branch, query, (1, 0)) for branch in branches)) < 1e-5


def test_a_patch_is_shared_by_copies_of_the_model():
    patch, evaluator = SitePatch(base, [branch_of()]), Evaluator([ALWAYS])
    copied = deepcopy({"patches": [patch], "evaluator": evaluator})
    assert copied["patches"][0] is patch
    assert copied["evaluator"] is evaluator


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_query_of_another_precision_gets_its_own_copy_once(dtype, generator):
    query = torch.randn(2, 12, 8, generator=generator).to(dtype)
    branch = branch_of()
    kept = (branch.key.clone(), branch.value.clone())
    patch = SitePatch(base, [branch])
    first, second = (run(patch, query, cond_or_uncond=[1, 0]) for _ in range(2))
    assert first.dtype is dtype
    assert torch.equal(first, second)
    assert len(branch._placed) == 1
    assert torch.equal(branch.key, kept[0])
    assert torch.equal(branch.value, kept[1])


def half_and_quarter():
    mask = torch.zeros(6, 8)
    mask[:, :4] = 1
    mask[:3, 4:] = 0.25
    return mask


def test_region_weighs_every_query(generator):
    query = torch.randn(6, 12, 8, generator=generator)
    branch = branch_of(Application("here", None, Region(half_and_quarter()[None])))
    windows = ((0.0, 0.0, 1.0, 1.0), (0.5, 0.25, 0.5, 0.75))
    options = {
        OPTION: Evaluation((NEGATIVE, POSITIVE), windows, (), {}, {}),
        "activations_shape": (6, 8, *GRID),
        "cond_or_uncond": [1, 0],
    }
    image = run(SitePatch(base, [branch]), query, **options) - 10 * query
    masks = [grid_factors(half_and_quarter(), GRID, window) for window in windows]
    assert not torch.equal(*masks)
    assert relative_error(image.double(), by_hand(branch, query, (1, 0), masks=masks)) < 1e-5


TIMED = Application("timed", Timing(10.0, 2.0, None, ()))


@pytest.mark.parametrize(("sigma", "acts"), [(10.1, False), (10.0, True), (2.0, True), (1.9, False)])
def test_evaluator_decides_once_for_all_sites(sigma, acts, generator):
    seen = {}

    def executor(x, t, *arguments, **extra):
        seen.update(arguments[-1])
        return extra

    options = {"cond_or_uncond": [1, 0], "other": 1}
    extra = Evaluator([TIMED, ALWAYS])(
        executor, torch.zeros(2, 4, 3, 4), torch.tensor([sigma, sigma]), None, None, None, options, kept=5
    )
    assert extra == {"kept": 5}
    assert options == {"cond_or_uncond": [1, 0], "other": 1}
    assert seen[OPTION].factors == {TIMED: float(acts)}
    assert seen[OPTION].windows == (WHOLE, WHOLE)
    query = torch.randn(2, 12, 8, generator=generator)
    branch = branch_of(TIMED)
    out = SitePatch(base, [branch])(query, query, query, seen)
    assert torch.equal(out, 10 * query) == (not acts)


def test_factor_of_a_schedule_scales_the_image_branch(generator):
    query = torch.randn(2, 12, 8, generator=generator)
    branch = branch_of(TIMED)
    options = {
        OPTION: Evaluation((NEGATIVE, POSITIVE), (WHOLE, WHOLE), (), {TIMED: -0.3}, {}),
        "cond_or_uncond": [1, 0],
    }
    image = run(SitePatch(base, [branch]), query, **options) - 10 * query
    assert relative_error(image.double(), by_hand(branch, query, (1, 0), factor=-0.3)) < 1e-5
