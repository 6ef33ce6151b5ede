"""Where an adapter acts: every token of every site in real runs against masks resized by counting."""

import math
from dataclasses import dataclass

import pytest
import torch
from factories import adapter_tensors, make_prompt, relative_error
from host_support import formula
from host_support.calls import call_at, patches_of
from host_support.sampling import noise_of, sample, text
from host_support.spy import Spy
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from torch import Tensor

LATENT = (9, 13)  # of a picture of 72 by 104 pixels: odd at every level
WEIGHT = 0.7


def halvings(site_block: tuple) -> int:
    """How often the UNet of SD1.5 has halved its grid at a block."""
    part, number, _ = site_block
    return {"input": (number - 1) // 3, "output": (11 - number) // 3, "middle": 3}[part]


def grid_at(block: tuple, size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    for _ in range(halvings(block)):
        height, width = math.ceil(height / 2), math.ceil(width / 2)
    return height, width


def dense(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """The mean of the mask over each cell, by cutting every pixel into pieces that belong to one cell."""
    for axis, cells in enumerate(grid):
        pieces = math.lcm(mask.shape[axis], cells)
        mask = mask.repeat_interleave(pieces // mask.shape[axis], dim=axis)
        mask = mask.unflatten(axis, (cells, pieces // cells)).mean(dim=axis + 1)
    return mask


def random_mask(height: int, width: int) -> Tensor:
    return torch.rand(height, width, generator=torch.Generator().manual_seed(8))


@dataclass
class Case:
    """A masked model of SD1.5's topology and what the formula needs to know of it."""

    bare: object
    sites: tuple
    tensors: dict[str, Tensor]

    def apply(self, mask: Tensor):
        adapter = Adapter.of(TensorDict("test", self.tensors))
        return host.apply(self.bare, adapter, make_prompt(), host.ApplyOptions(weight=WEIGHT, mask=mask))

    def expected(self, n: int, call, masks: list[Tensor]) -> Tensor:
        """Text attention plus masked image attention; `masks` has one mask, flattened, per chunk."""
        heads, chunks = self.sites[n].heads, call.options["cond_or_uncond"]
        features = make_prompt().positive.pooled, torch.zeros(1, 1024)
        tokens = [formula.image_tokens(side, self.tensors) for side in features]
        rows = []
        for row, (query, key, value) in enumerate(zip(call.query, call.key, call.value, strict=True)):
            chunk = row * len(chunks) // len(call.query)
            side = tokens[chunks[chunk]]
            image = formula.image_row(query, side, torch.ones(len(side)), self.tensors, n, heads)
            rows.append(formula.attention(query, key, value, heads) + WEIGHT * masks[chunk][:, None] * image)
        return torch.stack(rows)


@pytest.fixture(scope="module")
def case(sd15, sd15_sites):
    return Case(sd15, sd15_sites, adapter_tensors(sd15_sites))


@pytest.mark.parametrize("size", [(72, 104), (9, 13), (64, 64), (31, 200), (1, 1), (3, 1)], ids=str)
def test_every_site_uses_the_mean_of_the_mask_over_each_token(case, size):
    mask = random_mask(*size)
    model = case.apply(mask[None])
    for n, site in enumerate(case.sites):
        grid = grid_at(site.block, LATENT)
        call = call_at(site, [1, 0], batch=2, grid=grid)
        expected = case.expected(n, call, [dense(mask, grid).flatten()] * 2)
        assert relative_error(call.of(patches_of(model)[site.block]), expected) <= 1e-5, site.name


@pytest.mark.parametrize("latent", [LATENT, (8, 8), (5, 16)], ids=str)
def test_every_site_of_a_run_uses_the_grid_it_works_on(case, latent):
    mask, spy = random_mask(8 * latent[0], 8 * latent[1]), Spy()
    sample(spy.on(case.apply(mask[None])), noise=noise_of(batch=1, size=latent), steps=1)
    assert len(spy.calls) == len(case.sites)
    for block, call, given in spy.calls:
        n = [site.block for site in case.sites].index(block)
        masks = [dense(mask, grid_at(block, latent)).flatten()] * 2
        assert relative_error(given, case.expected(n, call, masks)) <= 1e-5, block


AREAS = {
    "one area": [(5, 6, 2, 5)],
    "two of one size in one batch": [(9, 6, 0, 0), (9, 6, 0, 7)],
    "over the border": [(6, 8, 4, 7)],
    "share of the picture": [("percentage", 0.5, 0.5, 0.5, 0.25)],
}


@pytest.mark.parametrize("areas", AREAS.values(), ids=AREAS)
def test_an_area_gets_its_part_of_the_mask(case, areas):
    mask, spy = random_mask(8 * LATENT[0], 8 * LATENT[1]), Spy()
    positive = text(case.bare, 2) + [[text(case.bare, 20 + n)[0][0], {"area": area}] for n, area in enumerate(areas)]
    model = spy.on(case.apply(mask[None]))
    sample(model, noise=noise_of(batch=1, size=LATENT), positive=positive, steps=1)
    seen = set()
    for block, call, given in spy.calls:
        n, masks = [site.block for site in case.sites].index(block), []
        for uuid in call.options["uuids"]:
            rows, columns, top, left = spy.areas.get(uuid, (*LATENT, 0, 0))
            part = mask[8 * top : 8 * (top + rows), 8 * left : 8 * (left + columns)]
            size = min(rows, LATENT[0] - top), min(columns, LATENT[1] - left)
            masks.append(dense(part, grid_at(block, size)).flatten())
            seen.add((top, left, *size))
        assert relative_error(given, case.expected(n, call, masks)) <= 1e-5, (block, call.options["original_shape"])
    assert len(seen) == len(areas) + 1


def test_the_whole_mask_on_an_area_would_be_noticed(case):
    mask = random_mask(8 * LATENT[0], 8 * LATENT[1])
    for block in [site.block for site in case.sites]:
        grid = grid_at(block, (5, 6))
        assert relative_error(dense(mask[16:56, 40:88], grid), dense(mask, grid)) > 1e-3, block
