"""Guiders with more lists of conditionings than two: every row sees the pictures of the side its text belongs to."""

from dataclasses import dataclass, field

import comfy.samplers
import pytest
import torch
from comfy_extras import nodes_custom_sampler as samplers
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from comfy_extras.nodes_perpneg import PerpNeg, PerpNegGuider
from comfy_extras.nodes_sag import SelfAttentionGuidance
from factories import relative_error
from host_support.oracle import BLOCKS, Oracle
from host_support.sampling import noise_of, sample, text
from host_support.small_models import LATENT_CHANNELS, random_model
from host_support.spy import Spy
from torch import Tensor

NEGATIVE, POSITIVE = 0, 1
# Each text by its seed, and the pictures its rows should see: those of what is wanted, or those to lead away from.
TEXTS = {"positive": (2, POSITIVE), "negative": (3, NEGATIVE), "third": (4, NEGATIVE)}
SIZE = (16, 16)  # the smallest whose middle block SAG can make a map of


@dataclass
class Rows:
    """The text of every row that the model is shown, as its side: by the numbers in the text, not by any label."""

    texts: list[Tensor]
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def on(self, model):
        clone = model.clone()
        clone.add_wrapper_with_key("apply_model", "rows", self._note)
        return clone

    def _note(self, executor, x, t, c_concat, context, *arguments, **named):
        sides = [side for _, side in TEXTS.values()]
        names = [[torch.equal(row, given[0]) for given in self.texts].index(True) for row in context]
        self.seen.append(tuple(sides[name] for name in names))
        return executor(x, t, c_concat, context, *arguments, **named)


def basic(model, conds):
    return samplers.BasicGuider.execute(model, conds[0]).result[0]


def guidance(model, conds):
    return samplers.CFGGuider.execute(model, conds[0], conds[1], 4.0).result[0]


def dual(style):
    return lambda model, c: samplers.DualCFGGuider.execute(model, c[0], c[2], c[1], 3.0, 1.5, style).result[0]


def perp_neg(model, conds):
    return PerpNegGuider.execute(model, conds[0], conds[1], conds[2], 4.0, 0.8).result[0]


def older_perp_neg(model, conds):
    return guidance(PerpNeg.execute(model, conds[2], 0.8).result[0], conds)


def perturbed(model, conds):
    return guidance(PerturbedAttentionGuidance.execute(model, 3.0).result[0], conds)


def self_attention(model, conds):
    return guidance(SelfAttentionGuidance.execute(model, 0.5, 2.0).result[0], conds)


def both(model, conds):
    return perturbed(SelfAttentionGuidance.execute(model, 0.5, 2.0).result[0], conds)


def two_models(model, conds):
    return samplers.DualModelGuider.execute(model, conds[0], 4.0, model, conds[1]).result[0]


# Guider -> the sides of the rows of one step, per call of the model, sorted.
GUIDERS = {
    basic: [(1,)],
    guidance: [(0, 1)],
    dual("regular"): [(0, 0, 1)],
    dual("nested"): [(0, 0, 1)],
    perp_neg: [(0, 0, 1)],
    older_perp_neg: [(0, 1), (0,)],
    perturbed: [(0, 1), (1,)],
    self_attention: [(0, 1), (0,)],
    both: [(0, 1), (0,), (1,)],
}
if hasattr(samplers, "DualModelGuider"):
    GUIDERS[two_models] = [(1,), (0,)]


def run(guider):
    noise = noise_of(batch=1, size=SIZE)
    sampler = comfy.samplers.sampler_object("euler")
    return guider.sample(noise, torch.zeros_like(noise), sampler, torch.tensor([10.0, 0.0]), disable_pbar=True)


def check(bare, make, more=None):
    """Runs a guider on an adapted model; the sides of its calls, after every row was compared with the formula."""
    oracle = Oracle.of(bare)
    conds = [[[row, extra | (more or {})] for row, extra in text(bare, seed)] for seed, _ in TEXTS.values()]
    rows, spy = Rows([cond[0][0] for cond in conds]), Spy()
    run(make(rows.on(spy.on(oracle.apply(bare))), conds))
    calls = [call for call in spy.calls if call[0] in BLOCKS]
    assert len(calls) == len(BLOCKS) * len(rows.seen)
    for number, (block, call, given) in enumerate(calls):
        sides = rows.seen[number // len(BLOCKS)]
        assert relative_error(given, oracle.expected(block, call, sides)) <= 1e-5, (block, sides)
    return [tuple(sorted(sides)) for sides in rows.seen]


@pytest.mark.parametrize(("make", "sides"), GUIDERS.items(), ids=lambda part: getattr(part, "__name__", ""))
def test_every_row_sees_its_side(sd15, make, sides):
    assert check(sd15, make) == sides


def test_instruct_pix2pix():
    """Three lists over a model that sees the picture to change; the middle one has it and no text."""
    latent = torch.randn(1, LATENT_CHANNELS, *SIZE, generator=torch.Generator().manual_seed(4))
    assert check(random_model("sd15-instruct"), dual("regular"), {"concat_latent_image": latent}) == [(0, 0, 1)]


def test_areas_on_both_sides_keep_their_sides(sd15):
    """The host gives each side copies of the other's conditionings that have an area, labels included."""
    area = {"area": (16, 8, 0, 8), "strength": 1.0}

    def make(model, conds):
        positive = conds[0] + [[conds[0][0][0], area]]
        return samplers.DualCFGGuider.execute(model, positive, conds[2], conds[1], 3.0, 1.5, "regular").result[0]

    assert sorted(check(sd15, make)) == [(0, 0, 1), (0, 0, 1)]


def test_which_side_is_which_is_noticed(sd15):
    """The formula with the sides exchanged is far from what the model computes."""
    oracle, spy = Oracle.of(sd15), Spy()
    sample(spy.on(oracle.apply(sd15)), steps=1)
    block, call, given = next(seen for seen in spy.calls if seen[0] == BLOCKS[0])
    assert relative_error(given, oracle.expected(block, call, (0, 0, 1, 1))) <= 1e-5
    assert relative_error(given, oracle.expected(block, call, (1, 1, 0, 0))) > 1e-2
