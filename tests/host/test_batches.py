"""A batch of pictures to a batch of latents one to one, masks per latent, and what long batches keep in memory."""

from dataclasses import replace

import pytest
import torch
from factories import make_adapter, make_prompt, relative_error
from host_support.calls import patches_of
from host_support.sampling import noise_of, sample
from host_support.spy import Spy
from host_support.state import tensor_bytes
from host_support.windows import DEPRECATED_INDEX, shown, windowed
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.ip_adapter.weights.crossfade import crossfade
from ip_adapter_nodes.ip_adapter.weights.keyframes import Easing
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule

FRAMES = 4
BLOCK = ("input", 4, 0)
MASKS = torch.rand(FRAMES, 40, 48, generator=torch.Generator().manual_seed(6))
WINDOWS = {"overlapping": ("standard_static", "pyramid"), "looped": ("looped_uniform", "flat")}

pytestmark = pytest.mark.filterwarnings(DEPRECATED_INDEX)


def each(prompt):
    """The prompt with one picture per latent."""
    return replace(prompt, combine=Combine.ONE_PER_LATENT)


@pytest.fixture(scope="module")
def apply(sd15, sd15_sites):
    adapter = make_adapter(sd15_sites)
    return lambda prompt, **settings: host.apply(sd15, adapter, prompt, host.ApplyOptions(**settings))


def only(prompt, picture):
    """The prompt of one picture, with the negative one that goes with it."""
    alone = prompt.picture(picture)
    negative = prompt.negative
    if negative is None:
        return alone
    at = picture % len(negative.pooled)
    return replace(alone, negative=type(negative)(negative.pooled[at : at + 1], negative.penultimate[at : at + 1]))


def assert_equal(together, alone, noise):
    """A batch gives what each latent gives alone, on the positive side (cfg 1) and on the negative one (cfg 0)."""
    for cfg in (1.0, 0.0):
        given = sample(together, noise=noise, steps=1, cfg=cfg)
        for n in range(len(noise)):
            expected = sample(alone(n), noise=noise[n : n + 1], steps=1, cfg=cfg)
            assert relative_error(given[n : n + 1], expected) <= 1e-6, (n, cfg)


@pytest.mark.parametrize(
    ("negatives", "weight_type"), [(0, "linear"), (1, "style transfer precise"), (FRAMES, "linear")]
)
def test_one_picture_per_latent_equals_single_runs(apply, negatives, weight_type):
    prompt, noise = make_prompt(FRAMES, negatives), noise_of(batch=FRAMES)
    together, parts = apply(each(prompt), weight_type=weight_type), [only(prompt, n) for n in range(FRAMES)]
    assert_equal(together, lambda n: apply(parts[n], weight_type=weight_type), noise)


def test_each_picture_speaks_with_its_weight_and_its_schedule(apply):
    prompt = replace(make_prompt(FRAMES), weights=(0.5, 0.0, -0.5, 2.0))
    curve, noise = (1.0, 3.0, 0.5, 0.5), noise_of(batch=FRAMES)
    schedule = WeightSchedule(((0.0, 0.5),), curves=(curve,))
    together = apply(each(prompt), schedule=schedule)
    assert_equal(together, lambda n: apply(only(prompt, n), weight=0.5 * curve[n]), noise)


def test_all_pictures_for_every_latent_is_another_thing(apply):
    noise, prompt = noise_of(batch=FRAMES), make_prompt(FRAMES)
    assert_equal(apply(prompt), lambda n: apply(prompt), noise)
    everywhere, paired = (sample(apply(one), noise=noise, steps=1) for one in (prompt, each(prompt)))
    assert relative_error(paired, everywhere) > 1e-3


def test_a_mask_per_latent_equals_single_runs(apply):
    noise = noise_of(batch=FRAMES)
    assert_equal(apply(make_prompt(2), mask=MASKS), lambda n: apply(make_prompt(2), mask=MASKS[n : n + 1]), noise)
    first, masked = (sample(apply(make_prompt(2), mask=masks), noise=noise, steps=1) for masks in (MASKS[:1], MASKS))
    assert all(relative_error(masked[n], first[n]) > 1e-4 for n in range(1, FRAMES))


@pytest.mark.parametrize("windows", WINDOWS.values(), ids=WINDOWS)
def test_windows_show_their_frames_with_their_pictures_and_masks(apply, windows):
    """In every call a row gets what the frame that stands there gets by the host's own word."""
    spy, noise = Spy(), noise_of(batch=FRAMES)
    model = apply(each(make_prompt(FRAMES)), mask=MASKS)
    sample(windowed(spy.on(model), windows), noise=noise, steps=1)
    alone = [patches_of(apply(only(make_prompt(FRAMES), n), mask=MASKS[n : n + 1]))[BLOCK] for n in range(FRAMES)]
    seen = set()
    for call, given in ((call, given) for block, call, given in spy.calls if block == BLOCK):
        for row, frame in enumerate(shown(call) * 2):
            one = {name: getattr(call, name)[row : row + 1] for name in ("query", "key", "value")}
            side = call.options["cond_or_uncond"][row // len(shown(call))]
            options = {**call.options, "cond_or_uncond": [side], "uuids": [None]}
            options.pop("ip_adapter_nodes")
            assert relative_error(given[row : row + 1], replace(call, **one, options=options).of(alone[frame])) <= 1e-5
        seen.add(tuple(shown(call)))
    assert len(seen) > 1


CONFLICTS = {
    "another number of latents": (lambda apply: apply(each(make_prompt(3))), "holds 3 pictures, one per"),
    "another number of masks": (lambda apply: apply(make_prompt(), mask=MASKS[:3]), "3 masks and the batch"),
    "a crossfade": (
        lambda apply: apply(each(make_prompt(2)), schedule=WeightSchedule(curves=crossfade(2, 2, 0, Easing.LINEAR))),
        "2 curves of 4 frames",
    ),
    "a schedule of fewer frames": (
        lambda apply: apply(each(make_prompt(4)), schedule=WeightSchedule(curves=((1.0, 0.5),))),
        "1 curves of 2 frames",
    ),
    "two negative pictures": (lambda apply: apply(each(make_prompt(4, 3))), "or one for each of the 4"),
}


@pytest.mark.parametrize(("make", "message"), CONFLICTS.values(), ids=CONFLICTS)
def test_numbers_that_do_not_go_together_are_named_before_the_model_runs(apply, make, message):
    called = []
    with pytest.raises(SettingError, match=message):
        sample(make(apply), noise=noise_of(batch=FRAMES), callback=lambda *step: called.append(step))
    assert called == []


def test_what_is_kept_grows_with_pictures_and_not_with_frames(apply, sd15_sites):
    """A picture keeps its tokens' keys and values on its own side; one negative picture serves all."""
    picture = sum(2 * 4 * site.width * 4 for site in sd15_sites)  # keys and values of 4 tokens in float32
    kept = {n: tensor_bytes(patches_of(apply(each(make_prompt(n))))) for n in (8, 16, 64)}
    assert kept == {n: (n + 1) * picture for n in kept}
    fades = {hold: WeightSchedule(curves=crossfade(4, hold, 4, Easing.LINEAR)) for hold in (1, 13)}
    assert [len(fade.curves[0]) for fade in fades.values()] == [16, 64]
    faded = [tensor_bytes(patches_of(apply(make_prompt(4), schedule=fade))) for fade in fades.values()]
    assert faded == [4 * 2 * picture] * 2
