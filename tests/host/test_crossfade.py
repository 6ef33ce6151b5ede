"""Pictures that pass into each other over the frames of the host's own runs."""

import pytest
import torch
from factories import adapter_tensors, make_prompt, relative_error
from host_support import formula
from host_support.calls import patches_of
from host_support.sampling import noise_of, sample
from host_support.spy import Spy
from host_support.state import digests
from host_support.windows import DEPRECATED_INDEX, shown, windowed
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.host.patches import OPTION
from ip_adapter_nodes.ip_adapter.weights.crossfade import crossfade
from ip_adapter_nodes.ip_adapter.weights.keyframes import Easing
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule

FADE = WeightSchedule(curves=crossfade(3, 1, 1, Easing.LINEAR))
BLOCK = ("input", 4, 0)


@pytest.fixture(scope="module")
def tensors(sd15_sites):
    return adapter_tensors(sd15_sites)


@pytest.fixture(scope="module")
def apply(sd15, tensors):
    adapter = Adapter.of(TensorDict("test", tensors))
    return lambda prompt, **settings: host.apply(sd15, adapter, prompt, host.ApplyOptions(**settings))


def test_pictures_pass_into_each_other(apply, tensors, sd15_sites):
    """Every row of every call is the text, and each picture's own attention times the factor of the frame."""
    prompt, spy = make_prompt(3), Spy()
    model = apply(prompt, weight=0.7, schedule=FADE)
    sample(spy.on(model), noise=noise_of(batch=5), steps=1)
    n, site = next((n, site) for n, site in enumerate(sd15_sites) if site.block == BLOCK)
    sides = {0: prompt.positive.pooled, 1: torch.zeros(3, 1024)}
    for call, out in ((call, out) for block, call, out in spy.calls if block == BLOCK):
        base = patches_of(model)[BLOCK].base(call.query, call.key, call.value, call.options)
        for row, side in enumerate(side for side in call.options["cond_or_uncond"] for _ in range(5)):
            expected = sum(
                0.7
                * curve[row % 5]
                * formula.image_row(
                    call.query[row],
                    formula.image_tokens(sides[side][j : j + 1], tensors),
                    torch.ones(4),
                    tensors,
                    n,
                    site.heads,
                )
                for j, curve in enumerate(FADE.curves)
            )
            assert relative_error(out[row] - base[row], expected) <= 1e-4


@pytest.mark.filterwarnings(DEPRECATED_INDEX)
def test_pictures_that_are_silent_in_a_window_are_not_computed(apply):
    model, spy = apply(make_prompt(3), schedule=FADE), Spy()
    sample(windowed(spy.on(model), ("standard_static", "pyramid"), 2, 0), noise=noise_of(batch=5), steps=1)
    acting = set()
    for call in (call for block, call, _ in spy.calls if block == BLOCK):
        frames = shown(call)
        given = [factor != 0.0 for factor in call.options[OPTION].factors.values()]
        assert given == [any(curve[frame] for frame in frames) for curve in FADE.curves]
        acting.add(sum(given))
    assert 2 in acting


def test_as_many_pictures_as_the_schedule_has_curves(sd15, apply):
    before = digests(sd15)
    with pytest.raises(SettingError, match="passes between 3 pictures and the image prompt holds 2"):
        apply(make_prompt(2), schedule=FADE)
    assert digests(sd15) == before
