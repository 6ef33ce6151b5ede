"""When an adapter acts: against a run that takes another model at every step, and what deciding it costs."""

import pytest
import torch
from factories import make_adapter, make_prompt, relative_error
from host_support.calls import call_at, patches_of
from host_support.sampling import sample
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule
from torch.utils._python_dispatch import TorchDispatchMode

STEPS = 4  # of the normal schedule: at 0, 1/3, 2/3 and all of the sampling's progress
RANGES = {
    (0.0, 0.3): [0],
    (0.0, 0.34): [0, 1],
    (0.3, 0.7): [1, 2],
    (0.5, 1.0): [2, 3],
    (0.7, 1.0): [3],
    (0.4, 0.5): [],
}
# Level between the places where the factor moves, so that each step's factor is known without interpolation.
PLATEAUS = WeightSchedule(((0.0, 1.0), (0.2, 1.0), (0.3, 0.25), (0.5, 0.25), (0.6, -0.5), (0.9, -0.5), (1.0, 2.0)))
AT_STEPS = [1.0, 0.25, -0.5, 2.0]


@pytest.fixture(scope="module")
def apply(sd15, sd15_sites):
    adapter = make_adapter(sd15_sites)
    return lambda model=None, **settings: host.apply(
        model or sd15, adapter, make_prompt(), host.ApplyOptions(**settings)
    )


def _switching(bare, models):
    """The bare model, but with the patches of `models[step]` in each step."""
    sigmas: list[float] = []

    def forward(apply_model, call):
        sigma = float(call["timestep"][0])
        if sigma not in sigmas:
            sigmas.append(sigma)
        model = models[sigmas.index(sigma)]
        patches = {} if model is None else {"patches_replace": {"attn2": patches_of(model)}}
        options = call["c"]["transformer_options"] | patches
        return apply_model(call["input"], call["timestep"], **call["c"] | {"transformer_options": options})

    clone = bare.clone()
    clone.set_model_unet_function_wrapper(forward)
    return clone


@pytest.mark.parametrize(("limits", "active"), RANGES.items(), ids=str)
def test_a_range_acts_in_its_steps_and_no_other(sd15, apply, limits, active):
    always = apply()
    expected = sample(_switching(sd15, [always if step in active else None for step in range(STEPS)]), steps=STEPS)
    given = sample(apply(start_percent=limits[0], end_percent=limits[1]), steps=STEPS)
    assert torch.equal(given, expected)


def test_a_schedule_gives_each_step_its_factor(sd15, apply):
    expected = sample(_switching(sd15, [apply(weight=0.8 * factor) for factor in AT_STEPS]), steps=STEPS)
    given = sample(apply(weight=0.8, schedule=PLATEAUS), steps=STEPS)
    assert relative_error(given, expected) <= 1e-5
    assert relative_error(sample(apply(weight=0.8), steps=STEPS), expected) > 0.01


def test_a_schedule_acts_only_in_its_range(sd15, apply):
    factors = [None, 0.25, -0.5, None]
    models = [None if factor is None else apply(weight=factor) for factor in factors]
    given = sample(apply(schedule=PLATEAUS, start_percent=0.3, end_percent=0.7), steps=STEPS)
    assert relative_error(given, sample(_switching(sd15, models), steps=STEPS)) <= 1e-5


def test_two_schedules_do_not_mix(sd15, apply):
    always = apply(weight=0.3)
    models = [apply(apply(weight=0.3), weight=0.5 * factor) for factor in AT_STEPS]
    given = sample(apply(always, weight=0.5, schedule=PLATEAUS), steps=STEPS)
    assert relative_error(given, sample(_switching(sd15, models), steps=STEPS)) <= 1e-5


aten = torch.ops.aten
READS = {aten.item, aten.is_nonzero, aten._local_scalar_dense, aten.equal, aten.nonzero, aten.masked_select}


class ScalarReads(TorchDispatchMode):
    """Counts what reads a number or a count out of a tensor, each of which would stop a GPU's queue."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        by_flags = function is aten.index.Tensor and any(at is not None and at.dtype is torch.bool for at in args[1])
        self.count += function.overloadpacket in READS or by_flags
        return function(*args, **(kwargs or {}))


def _reads(model) -> int:
    sample(model, steps=1)
    with ScalarReads() as reads:
        sample(model, steps=3)
    return reads.count


@pytest.mark.parametrize("read", [float, bool, torch.Tensor.item, torch.nonzero, lambda x: x[x > 0]])
def test_the_counter_sees_a_read(read):
    with ScalarReads() as reads:
        read(torch.ones(1))
    assert reads.count == 1


def test_no_number_is_read_without_a_schedule_and_one_per_evaluation_with_one(sd15, apply):
    mask = torch.eye(16)[None]
    bare = _reads(sd15)
    assert _reads(apply()) == bare
    assert _reads(apply(apply(), mask=mask)) == bare
    timed = apply(apply(schedule=PLATEAUS, mask=mask), start_percent=0.1, end_percent=0.9)
    assert bare < _reads(timed) <= bare + 3


@pytest.mark.parametrize("settings", [{}, {"mask": torch.eye(16)[None]}, {"schedule": PLATEAUS}], ids=str)
def test_no_number_is_read_in_a_site(sd15_sites, apply, settings):
    patch, call = patches_of(apply(**settings))[sd15_sites[0].block], call_at(sd15_sites[0], [1, 0])
    call.of(patch)
    with ScalarReads() as reads:
        call.of(patch)
    assert reads.count == 0
