"""Masks where the model does not see the picture as it is: parts of it, other sizes, other grids, inpainting."""

import comfy.sample
import pytest
import torch
from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion
from comfy_extras.nodes_hypertile import HyperTile
from comfy_extras.nodes_model_downscale import PatchModelAddDownscale
from host_support.oracle import BLOCKS, Oracle
from host_support.sampling import noise_of, sample, text
from host_support.small_models import random_model
from host_support.spy import Spy

SIZE = (14, 18)  # no two axes and no two levels alike
AWKWARD = [
    *((15, 16), (16, 15), (9, 27), (27, 9), (13, 13), (17, 8), (8, 17), (11, 20), (1, 30)),
    *((7, 21), (23, 9), (31, 33)),
]
MASK = torch.rand(61, 83, generator=torch.Generator().manual_seed(8))  # no multiple of any grid
WHOLE = (0.0, 0.0, 1.0, 1.0)


def means(mask, grid, window):
    """Means over the cells of a window, as differences of the mask's antiderivative along one axis after the other."""
    mask = mask.double()
    for axis in (0, 1):
        pixels, cells = mask.shape[axis], grid[axis]
        whole = torch.cat([torch.zeros_like(mask.narrow(axis, 0, 1)), mask.cumsum(axis)], axis).movedim(axis, 0)
        edges = (window[axis] + window[axis + 2] * torch.arange(cells + 1).double() / cells) * pixels
        below = edges.floor().long().clamp(max=pixels - 1)
        share = (edges - below)[:, None]
        integral = whole[below] * (1 - share) + whole[below + 1] * share
        mask = (integral.diff(dim=0) / (edges.diff()[:, None])).movedim(0, axis)
    return mask.float()


def mask_of(spy, size=SIZE, mask=MASK, stretched=False):
    """The mask over the tokens of a row: the part that the row's conditioning shows of a picture of this size."""

    def of(call, row):
        uuid = call.options["uuids"][row * len(call.options["uuids"]) // len(call.query)]
        window = WHOLE
        if uuid in spy.areas and not stretched:
            rows, columns, top, left = spy.areas[uuid]
            rows, columns = min(rows, size[0] - top), min(columns, size[1] - left)
            window = (top / size[0], left / size[1], rows / size[0], columns / size[1])
        grid = call.options["activations_shape"][-2:]
        assert grid[0] * grid[1] == call.query.shape[1]
        return means(mask, grid, window)

    return of


@pytest.fixture(scope="module")
def oracle(sd15):
    return Oracle.of(sd15)


def check(oracle, spy, model, **place):
    """Every call seen is the formula with the right part of the mask, and not with a mask turned round."""
    negative = text(model, 3)[0][0][0]
    assert oracle.worst(spy, negative, mask_of(spy, **place)) <= 1e-5
    assert oracle.worst(spy, negative, mask_of(spy, mask=MASK.flip(1), **place)) > 1e-3


@pytest.mark.parametrize("size", AWKWARD, ids=str)
def test_awkward_sizes(sd15, oracle, size):
    spy = Spy()
    sample(spy.on(oracle.apply(sd15, mask=MASK[None])), noise=noise_of(batch=1, size=size), steps=1)
    check(oracle, spy, sd15, size=size)


HALF = torch.zeros(1, *SIZE).index_fill(2, torch.arange(9, 18), 1.0)
PARTS = {
    "area": {"area": (10, 9, 3, 8), "strength": 1.0},
    "area in percent": {"area": ("percentage", 0.6, 0.5, 0.3, 0.25), "strength": 1.0},
    "area over the border": {"area": (12, 16, 8, 10), "strength": 1.0},
    "bounds of a mask": {"mask": HALF, "mask_strength": 1.0, "set_area_to_bounds": True},
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_conditionings_that_see_a_part(sd15, oracle, part):
    [[row, extra]] = text(sd15, 20)
    positive, spy = [*text(sd15, 2), [row, extra | part]], Spy()
    sample(spy.on(oracle.apply(sd15, mask=MASK[None])), noise=noise_of(batch=1, size=SIZE), positive=positive, steps=1)
    check(oracle, spy, sd15)
    assert spy.areas, "a part was seen"
    assert oracle.worst(spy, text(sd15, 3)[0][0][0], mask_of(spy, stretched=True)) > 1e-3


def test_the_mask_of_a_conditioning_leaves_ours_where_it_is(sd15, oracle):
    [[row, extra]] = text(sd15, 20)
    positive, spy = [*text(sd15, 2), [row, extra | {"mask": HALF, "mask_strength": 0.7}]], Spy()
    sample(spy.on(oracle.apply(sd15, mask=MASK[None])), noise=noise_of(batch=1, size=SIZE), positive=positive, steps=1)
    check(oracle, spy, sd15)
    assert not spy.areas


def test_one_model_at_two_sizes(sd15, oracle):
    """As with a second pass at a higher resolution."""
    model = oracle.apply(sd15, mask=MASK[None])
    for size in (SIZE, (20, 26), SIZE):
        spy = Spy()
        sample(spy.on(model), noise=noise_of(batch=1, size=size), steps=1)
        check(oracle, spy, sd15, size=size)


def execute(node, *arguments):
    given = node.execute(*arguments)
    return getattr(given, "result", given)[0]


NODES = {
    "deep shrink": lambda model: execute(PatchModelAddDownscale, model, 3, 2.0, 0.0, 0.9, True, "bicubic", "bicubic"),
    "HyperTile": lambda model: execute(HyperTile, model, 64, 2, 0, False),
}


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_other_grids(sd15, oracle, node):
    spy = Spy()
    sample(spy.on(node(oracle.apply(sd15, mask=MASK[None]))), noise=noise_of(batch=1, size=SIZE), steps=1)
    check(oracle, spy, sd15)


def test_deep_shrink_has_another_grid(sd15, oracle):
    spy = Spy()
    sample(
        spy.on(NODES["deep shrink"](oracle.apply(sd15, mask=MASK[None]))), noise=noise_of(batch=1, size=SIZE), steps=1
    )
    grids = {block: tuple(call.options["activations_shape"][-2:]) for block, call, _ in spy.calls if block in BLOCKS}
    assert grids[BLOCKS[0]] < (7, 9)


@pytest.mark.parametrize("node", [lambda model: model, lambda model: execute(DifferentialDiffusion, model)])
def test_inpainting_leaves_the_mask_where_it_is(sd15, oracle, node):
    """With the host's mask of what is to be painted, hard or as differential diffusion's amount of change."""
    spy, start = Spy(), noise_of(batch=1, size=SIZE, seed=5)
    change = torch.linspace(0, 1, SIZE[1]).expand(1, *SIZE)
    model = node(spy.on(oracle.apply(sd15, mask=MASK[None])))
    conds, noise = (text(model, 2), text(model, 3)), noise_of(batch=1, size=SIZE)
    comfy.sample.sample(
        model, noise, 2, 5.0, "euler", "normal", *conds, start, noise_mask=change, disable_pbar=True, seed=1
    )
    check(oracle, spy, sd15)


def test_a_model_for_inpainting():
    inpaint = random_model("sd15-inpaint")
    oracle, spy, picture = Oracle.of(inpaint), Spy(), noise_of(batch=1, size=SIZE, seed=5)
    more = {"concat_latent_image": picture, "concat_mask": HALF[:, None]}
    conds = [[[row, extra | more] for row, extra in text(inpaint, seed)] for seed in (2, 3)]
    model = spy.on(oracle.apply(inpaint, mask=MASK[None]))
    sample(model, noise=noise_of(batch=1, size=SIZE), positive=conds[0], negative=conds[1], steps=1)
    check(oracle, spy, inpaint)
