"""Attention maps of runs of the host, against the softmax written out here."""

from collections import defaultdict

import pytest
import torch
from factories import adapter_tensors, make_adapter, make_prompt, relative_error
from host_support import formula
from host_support.sampling import noise_of, sample, text
from host_support.spy import Spy
from host_support.windows import DEPRECATED_INDEX, shown, windowed
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.attention_maps.layer_groups import LayerGroup
from ip_adapter_nodes.ip_adapter.attention_maps.maps import MapOptions, Show, Steps, attention_maps
from ip_adapter_nodes.ip_adapter.host.attention_record import record_attention
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule
from torch.nn import functional

BLOCKS = [("input", 1, 0), ("input", 4, 0), ("middle", 0, 0), ("output", 11, 0)]
GRID = (8, 8)  # of the noise; the finest there is
LEFT = torch.cat([torch.ones(1, 16, 8), torch.zeros(1, 16, 8)], dim=2)

pytestmark = pytest.mark.filterwarnings(DEPRECATED_INDEX)


@pytest.fixture(scope="module")
def tensors(sd15_sites):
    return adapter_tensors(sd15_sites)


@pytest.fixture(scope="module")
def apply(sd15, sd15_sites):
    adapter = make_adapter(sd15_sites)

    def call(model=None, *, prompt=None, **settings):
        return host.apply(model or sd15, adapter, prompt or make_prompt(), host.ApplyOptions(**settings))

    return call


def recorded(model, parts=4, **settings):
    """The run of a model that was sampled with a record, and its calls as a spy saw them."""
    clone, record = record_attention(model, parts)
    spy = Spy()
    result = sample(spy.on(clone), **settings)
    assert torch.equal(result, sample(model, **settings)), "recording has changed the picture"
    return record.run_of(result), spy


def maps(run, blocks, show=Show.TOKENS, **choice):
    """(rows, maps, h, w) of the mean over these cross-attentions."""
    found = attention_maps(run, MapOptions(show, [LayerGroup("test", frozenset(blocks))], **choice))
    return torch.stack([one.values for one in found]).unflatten(0, (run.rows, -1))


class Expected:
    """The mean of something over the calls at a cross-attention, for every row of the positive side."""

    def __init__(self, spy, sites, tensors, negative):
        self.spy, self.sites, self.tensors, self.negative = spy, sites, tensors, negative

    def at(self, block, what):
        """(rows, maps, 8, 8); `what` gives (maps, queries) of a row's query, key and value of the text, and result."""
        by_frame = defaultdict(list)
        for number, (at, call, out) in enumerate(self.spy.calls):
            if at == block:
                is_positive = [not torch.equal(row, self.negative) for row in self.spy.text_of(number)]
                rows = zip(call.query, call.key, call.value, out, strict=True)
                positive = [row for row, counts in zip(rows, is_positive, strict=True) if counts]
                frames = shown(call) if "context_window" in call.options else range(len(positive))
                for frame, row in zip(frames, positive, strict=True):
                    by_frame[frame].append(what(*row).unflatten(-1, call.options["activations_shape"][-2:]))
        means = torch.stack([torch.stack(by_frame[frame]).mean(0) for frame in sorted(by_frame)])
        return functional.interpolate(means, GRID, mode="bilinear")

    def shares(self, block, features):
        """`softmax(q k^T / sqrt(d))` over the tokens of these pictures, the mean over the heads."""
        n = [site.block for site in self.sites].index(block)
        heads = self.sites[n].heads
        key = formula.image_tokens(features, self.tensors) @ self.tensors[f"ip_adapter.{2 * n + 1}.to_k_ip.weight"].T

        def of(query, *_):
            parts = zip(query.chunk(heads, -1), key.chunk(heads, -1), strict=True)
            return sum(((q @ k.T) / q.shape[-1] ** 0.5).softmax(-1) for q, k in parts).T / heads

        return self.at(block, of)

    def influence(self, block):
        """How long the image branch's part is, relative to the text's."""
        heads = next(site.heads for site in self.sites if site.block == block)

        def of(query, key, value, out):
            of_text = formula.attention(query, key, value, heads)
            return ((out - of_text).norm(dim=-1) / of_text.norm(dim=-1))[None]

        return self.at(block, of)


@pytest.fixture
def expected(sd15, sd15_sites, tensors):
    return lambda spy: Expected(spy, sd15_sites, tensors, text(sd15, 3)[0][0][0])


PROMPTS = {
    "one picture": make_prompt(1),
    "two pictures": make_prompt(2),
    "two pictures against three": make_prompt(2, negatives=3),  # the positive tokens stand there three times
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("cfg", [1.0, 5.0])
def test_token_maps_are_the_softmax_over_image_tokens(apply, expected, cfg, prompt):
    run, spy = recorded(apply(prompt=prompt), cfg=cfg)
    for block in BLOCKS:
        wanted = expected(spy).shares(block, prompt.positive.pooled)
        given = maps(run, [block])
        assert relative_error(given, wanted) <= 1e-5, block
        assert float(wanted.std(dim=1).mean()) > 0.01, "a map of equal shares would pass"
        assert relative_error(maps(run, [block], Show.PICTURES), wanted.unflatten(1, (-1, 4)).sum(2)) <= 1e-5


def test_a_group_is_the_mean_over_its_cross_attentions(apply, expected):
    run, spy = recorded(apply())
    wanted = torch.stack([expected(spy).shares(block, make_prompt().positive.pooled) for block in BLOCKS]).mean(0)
    assert relative_error(maps(run, BLOCKS), wanted) <= 1e-5


def test_influence_is_what_is_added_relative_to_the_text(apply, expected):
    run, spy = recorded(apply(weight=0.7))
    for block in BLOCKS:
        assert relative_error(maps(run, [block], Show.INFLUENCE), expected(spy).influence(block)) <= 1e-4, block


def test_masked_adapters_have_maps_of_their_own(apply, expected):
    one, two = make_prompt(1), make_prompt(1, seed=40)
    run, spy = recorded(apply(apply(prompt=one, mask=LEFT), prompt=two, mask=1 - LEFT))
    first, second = maps(run, [BLOCKS[0]]).chunk(2, dim=1)
    left, right = (expected(spy).shares(BLOCKS[0], prompt.positive.pooled) for prompt in (one, two))
    assert relative_error(first[..., :4], left[..., :4]) <= 1e-5
    assert relative_error(second[..., 4:], right[..., 4:]) <= 1e-5
    assert not first[..., 4:].any()
    assert not second[..., :4].any()
    names = {one.subject for one in attention_maps(run, MapOptions(Show.PICTURES, [_every(spy)]))}
    assert names == {"picture 1, standard (1)", "picture 1, standard (2)"}


def _every(spy):
    return LayerGroup("all", frozenset(block for block, *_ in spy.calls))


def test_one_picture_per_latent(apply, expected):
    prompt = make_prompt(2, combine=Combine.ONE_PER_LATENT)
    run, spy = recorded(apply(prompt=prompt))
    for row in range(2):
        alone = expected(spy).shares(BLOCKS[1], prompt.positive.pooled[row : row + 1])
        assert relative_error(maps(run, [BLOCKS[1]])[row], alone[row]) <= 1e-5


def test_a_crossfade_shows_each_picture_in_its_frames(apply):
    fade = WeightSchedule(curves=((1.0, 0.5, 0.0), (0.0, 0.5, 1.0)))
    run, spy = recorded(apply(prompt=make_prompt(2), schedule=fade), noise=noise_of(3))
    found = attention_maps(run, MapOptions(Show.INFLUENCE, [_every(spy)]))
    assert [(one.row, one.subject) for one in found] == [(row, f"picture {n}") for row in range(3) for n in (1, 2)]
    levels = torch.stack([one.values.mean() for one in found]).unflatten(0, (3, 2))
    assert levels[0, 1] == levels[2, 0] == 0
    assert levels.ne(0).sum() == 4


def test_frames_of_context_windows_are_kept_apart(apply, expected):
    windows = windowed(apply(), ("standard_static", "pyramid"))
    run, spy = recorded(windows, noise=noise_of(5))
    wanted = expected(spy).shares(BLOCKS[0], make_prompt().positive.pooled)
    assert len(wanted) == 5
    assert relative_error(maps(run, [BLOCKS[0]]), wanted) <= 1e-5


def test_an_area_conditioning_counts_where_it_lies(sd15, apply):
    (context, extra), (other, _) = text(sd15, 2)[0], text(sd15, 4)[0]
    positive = [[context, extra], [other, {"area": (8, 4, 0, 4), "strength": 1.0}]]
    run, _ = recorded(apply(), positive=positive, parts=1)
    (calls,) = (sums.calls for place, sums in run.sums.items() if place.block == BLOCKS[0])
    assert calls[0, 0, 0].tolist() == [4] * 4 + [8] * 4
    assert relative_error(maps(run, [BLOCKS[0]], Show.PICTURES), torch.ones(2, 1, 8, 8)) <= 1e-6


def test_parts_of_the_run_are_kept_apart(apply):
    late = apply(start_percent=0.6)
    run, _ = recorded(late, steps=8)
    parts = maps(run, BLOCKS, Show.INFLUENCE, steps=Steps.EACH_PART)[0].flatten(1).sum(1)
    assert parts[0] == parts[1] == 0
    assert parts[3] > 0
    assert torch.equal(maps(run, BLOCKS, start=0.75), maps(run, BLOCKS, start=0.75, steps=Steps.EACH_PART))
