"""Schedules over frames in the host's own runs: single runs, context windows, cost."""

from collections import Counter

import pytest
import torch
from factories import make_adapter, make_prompt, relative_error
from host_support.calls import Call, patches_of
from host_support.sampling import noise_of, sample
from host_support.spy import Spy
from host_support.state import digests
from host_support.windows import DEPRECATED_INDEX, shown, windowed
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule
from ip_adapter_nodes.nodes.weights import CrossfadeSchedule, WeightScheduleNode
from torch.utils._python_dispatch import TorchDispatchMode

CURVE = (0.0, 0.5, 1.0, -2.0, 0.25, 1.0)
FRAMES = len(CURVE)
SCHEDULE = WeightSchedule(curves=(CURVE,))
MASK = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
BLOCK = ("input", 4, 0)

pytestmark = pytest.mark.filterwarnings(DEPRECATED_INDEX)


@pytest.fixture(scope="module")
def apply(sd15, sd15_sites):
    adapter = make_adapter(sd15_sites)

    def call(model=None, prompt=None, **settings):
        return host.apply(model or sd15, adapter, prompt or make_prompt(), host.ApplyOptions(**settings))

    return call


def test_a_batch_of_frames_equals_single_runs(apply):
    noise = noise_of(batch=FRAMES)
    together = sample(apply(schedule=SCHEDULE), noise=noise, cfg=1.0, steps=1)
    for frame, factor in enumerate(CURVE):
        alone = sample(apply(weight=factor), noise=noise[frame : frame + 1], cfg=1.0, steps=1)
        assert relative_error(together[frame], alone[0]) <= 1e-6, frame


def test_frames_of_factor_0_and_1_equal_the_bare_model_and_no_schedule(sd15, apply):
    noise = noise_of(batch=FRAMES)
    given, always, bare = (sample(model, noise=noise, steps=1) for model in (apply(schedule=SCHEDULE), apply(), sd15))
    assert torch.equal(given[0], bare[0])
    assert torch.equal(given[[2, 5]], always[[2, 5]])
    assert relative_error(given[3], always[3]) > 0.01


def test_a_curve_of_ones_is_no_schedule(apply):
    ones = WeightSchedule(curves=((1.0, 1.0),))
    assert torch.equal(sample(apply(schedule=ones), steps=2), sample(apply(), steps=2))


def test_frames_and_sampling_multiply(apply):
    schedule = WeightSchedule(((0.0, 0.5),), curves=((1.0, 0.4),))
    given = sample(apply(schedule=schedule), steps=2)
    for frame, factor in enumerate((0.5, 0.2)):
        assert relative_error(given[frame], sample(apply(weight=factor), steps=2)[frame]) <= 1e-4


@pytest.mark.parametrize("names", [("standard_static", "pyramid"), ("looped_uniform", "flat")], ids=" ".join)
def test_windows_of_the_host_show_their_frames(apply, names):
    """In every call the image branch of a row is that of the frame which the host says stands there."""
    spy, plain = Spy(), patches_of(apply())[BLOCK]
    sample(windowed(spy.on(apply(schedule=SCHEDULE)), names), noise=noise_of(batch=FRAMES), steps=1)
    seen = set()
    for call, out in ((call, out) for block, call, out in spy.calls if block == BLOCK):
        frames = shown(call) * 2
        base = plain.base(call.query, call.key, call.value, call.options)
        factors = torch.tensor([CURVE[frame] for frame in frames])[:, None, None]
        expected = factors * (call.of(plain) - base)
        assert relative_error(out - base, expected) <= 1e-4
        seen.add(tuple(frames))
    assert len(seen) > 1


def test_windows_and_constant_factors_agree(apply):
    """A whole run in windows, against the run whose weight is constant."""
    names = ("standard_static", "pyramid")
    schedule = WeightSchedule(curves=((0.5,) * FRAMES,))
    noise = noise_of(batch=FRAMES)
    given = sample(windowed(apply(schedule=schedule), names), noise=noise, steps=1)
    assert relative_error(given, sample(windowed(apply(weight=0.5), names), noise=noise, steps=1)) <= 1e-4


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("batch", [1, FRAMES - 1, FRAMES + 1])
def test_another_number_of_frames_is_named_before_the_model_runs(apply, windows, batch):
    spy = Spy()
    model = spy.on(apply(schedule=SCHEDULE))
    model = windowed(model, ("standard_static", "pyramid")) if windows else model
    with pytest.raises(SettingError, match=f"made for {FRAMES} frames and the batch of latents has {batch}"):
        sample(model, noise=noise_of(batch=batch))
    assert spy.calls == []


def _evaluated(model):
    """The last call of a real run at one site, and what the patch gave."""
    spy = Spy()
    sample(spy.on(model), noise=noise_of(batch=FRAMES), steps=1)
    return [(call, out) for block, call, out in spy.calls if block == BLOCK][-1]


class Operations(TorchDispatchMode):
    """Counts operations, and apart from them those that read a number out of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


def _operations(model) -> Counter:
    call, _ = _evaluated(model)
    with Operations() as operations:
        call.of(patches_of(model)[BLOCK])
    return operations.names


@pytest.mark.parametrize("settings", [{}, {"mask": MASK}], ids=["plain", "masked"])
def test_frames_cost_a_site_few_operations_and_no_reading(apply, settings):
    without, given = _operations(apply(**settings)), _operations(apply(schedule=SCHEDULE, **settings))
    assert given.total() <= without.total() + 6
    assert not {"item", "_local_scalar_dense", "_to_copy", "copy_", "lift_fresh"} & set(given - without)


@pytest.mark.parametrize("settings", [{}, {"mask": MASK}], ids=["plain", "masked"])
def test_frames_compile_in_one_piece(apply, settings):
    model = apply(schedule=SCHEDULE, **settings)
    call, expected = _evaluated(model)
    patch = patches_of(model)[BLOCK]
    patch = type(patch)(lambda query, key, value, options: query, patch.branches)
    expected = call.of(patch)
    torch.compiler.reset()
    with torch.inference_mode(False), torch.no_grad():
        plain = Call(call.query.clone(), call.key.clone(), call.value.clone(), call.options)
        compiled = torch.compile(lambda q, k, v: patch(q, k, v, plain.options), backend="eager", fullgraph=True)
        assert torch.equal(compiled(plain.query, plain.key, plain.value), expected)
    torch.compiler.reset()


def test_nothing_leaks_into_the_incoming_model(sd15, apply):
    first = apply(schedule=SCHEDULE)
    noise = noise_of(batch=FRAMES)
    alone, bare = (sample(model, noise=noise, steps=1) for model in (first, sd15))
    before = digests(first)
    second = apply(first, prompt=make_prompt(3, seed=9), schedule=WeightSchedule(curves=((0.5,) * FRAMES,)))
    assert digests(first) == before
    sample(second, noise=noise, steps=1)
    assert torch.equal(sample(first, noise=noise, steps=1), alone)
    assert torch.equal(sample(sd15, noise=noise, steps=1), bare)
    assert sample(sd15, noise=noise[:2], steps=1).isfinite().all()


def test_the_nodes_make_schedules_and_pictures():
    made, drawn = WeightScheduleNode.execute(["0:1, 1:0.5"], ["0:0, 3:1"], [4], ["linear"]).result
    assert made == WeightSchedule(((0, 1), (1, 0.5)), curves=((0, 1 / 3, 2 / 3, 1),))
    assert drawn.shape == (1, 600, 768, 3)
    listed = WeightScheduleNode.execute(["1"], [""], [4], ["linear"], [[0.5, 1.0], [2.0]]).result[0]
    assert listed.curves == ((0.5, 1.0, 2.0),)
    made, frames, drawn = CrossfadeSchedule.execute(3, 4, 2, "ease in-out", "0.8").result
    assert (frames, len(made.curves), made.at(0.3)) == (16, 3, 0.8)
    assert drawn.shape == (1, 600, 768, 3)
