"""Passing from picture to picture over frames."""

import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.applying.assignment import assign
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.prompts.projector_inputs import ProjectorInputs
from ip_adapter_nodes.ip_adapter.weights.crossfade import crossfade
from ip_adapter_nodes.ip_adapter.weights.keyframes import Easing
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule


def test_hold_and_overlap_by_hand():
    assert crossfade(3, 2, 3, Easing.LINEAR) == (
        (1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0, 0, 0, 0),
        (0, 0, 0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0, 0),
        (0, 0, 0, 0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1),
    )


def test_without_overlap_pictures_alternate():
    assert crossfade(2, 2, 0, Easing.LINEAR) == ((1, 1, 0, 0), (0, 0, 1, 1))


@pytest.mark.parametrize("easing", Easing, ids=lambda easing: easing.value)
def test_factors_of_a_frame_add_up_to_one(easing):
    curves = crossfade(5, 3, 7, easing)
    assert [sum(frame) for frame in zip(*curves, strict=True)] == pytest.approx([1.0] * 43, abs=1e-12)


def test_an_eased_overlap_follows_its_curve():
    rising = crossfade(2, 1, 3, Easing.EASE_IN_OUT)[1]
    assert rising == pytest.approx([0, *((1 - math.cos(math.pi * step / 4)) / 2 for step in (1, 2, 3)), 1])


@pytest.mark.parametrize(("pictures", "hold", "overlap"), [(1, 4, 4), (0, 4, 4), (2, 0, 4), (2, 4, -1), (64, 60, 60)])
def test_what_is_no_crossfade(pictures, hold, overlap):
    with pytest.raises(SettingError, match=r"at least two pictures .* up to 4096 frames .* got"):
        crossfade(pictures, hold, overlap, Easing.LINEAR)


INPUTS = ProjectorInputs(
    negative=(torch.zeros(1, 2), torch.ones(1, 3)),
    positive=(torch.arange(6.0).reshape(3, 2), torch.arange(9.0).reshape(3, 3)),
    weights=(0.5, 1.0, 2.0),
    options={"scale": 0.3},
)


def parts_of(inputs, schedule):
    """What is applied together, with its schedule."""
    return [(part.inputs, part.schedule) for part in assign(inputs, schedule)]


@pytest.mark.parametrize("schedule", [None, WeightSchedule(), WeightSchedule(curves=((1.0, 0.0),))])
def test_pictures_stay_together_without_curves_of_their_own(schedule):
    assert parts_of(INPUTS, schedule) == [(INPUTS, schedule)]


def test_every_picture_alone_with_its_curve():
    schedule = WeightSchedule(((0.0, 0.4),), Easing.CONSTANT, ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5)))
    parts = parts_of(INPUTS, schedule)
    assert [given.curves for _, given in parts] == [((1.0, 0.0),), ((0.0, 1.0),), ((0.5, 0.5),)]
    assert {(given.points, given.easing) for _, given in parts} == {(((0.0, 0.4),), Easing.CONSTANT)}
    for picture, (inputs, _) in enumerate(parts):
        assert all(torch.equal(x, y[picture][None]) for x, y in zip(inputs.positive, INPUTS.positive, strict=True))
        assert inputs.weights == (INPUTS.weights[picture],)
        assert inputs.negative is INPUTS.negative
        assert inputs.options is INPUTS.options


@pytest.mark.parametrize("pictures", [2, 4])
def test_as_many_pictures_as_curves(pictures):
    with pytest.raises(SettingError, match=rf"between {pictures} pictures and the image prompt holds 3.*concat"):
        parts_of(INPUTS, WeightSchedule(curves=((1.0,),) * pictures))
