"""Keyframes: reading them, and the way between them against the formulas of easings.net."""

import math

import numpy
import pytest
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.weights.keyframes import Easing, factor_at, read_keyframes
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule

EASED = {
    "linear": lambda x: x,
    "ease in": lambda x: 1 - math.cos(x * math.pi / 2),
    "ease out": lambda x: math.sin(x * math.pi / 2),
    "ease in-out": lambda x: -(math.cos(math.pi * x) - 1) / 2,
    "constant": lambda x: 0 if x < 1 else 1,
}
READ = {
    "0:1.0, 0.3:0.5": ((0, 1), (0.3, 0.5)),
    " .25 : -2 ,\n\n 1 : 3 ": ((0.25, -2), (1, 3)),
    "0:1, 0.5:1, 0.5:0": ((0, 1), (0.5, 1), (0.5, 0)),
    "0.7": ((0, 0.7),),
    "0:1.0,": ((0, 1),),
}
BAD = {
    "": "got an empty text",
    " \n": "got an empty text",
    "0:1.0, 0.3": "line 1, character 8: expected a place from 0 to 1",
    "0:1, 1.5:0": "line 1, character 6: expected a place from 0 to 1",
    "0:1, 0.5:0, 0.3:1": r"line 1, character 13: 0\.3 stands after 0\.5",
    "0:1\n0.5;0": r"line 2, character 1: expected a place and a factor as .0:1\.0, 0\.3:0\.5., got '0\.5;0'",
    "0:1, -0.5:0": r"line 1, character 6: .* got '-0\.5:0'",
    "0:nan": "line 1, character 1: .* got '0:nan'",
    "0:inf": "got '0:inf'",
    "half:1": "got 'half:1'",
    ":1": "got ':1'",
    "0:": "got '0:'",
    "0:1,,1:1": "line 1, character 5",
}


@pytest.mark.parametrize("easing", Easing, ids=lambda easing: easing.value)
def test_the_way_between_keyframes(easing):
    keyframes = ((0.2, 1.0), (0.6, -1.0), (0.7, 3.0))
    for place in numpy.linspace(0, 1, 101):
        left = max((at for at, _ in keyframes if at <= place), default=None)
        right = min((at for at, _ in keyframes if at > place), default=None)
        known = dict(keyframes)
        if left is None or right is None:
            expected = known[right if left is None else left]
        else:
            share = EASED[easing.value]((place - left) / (right - left))
            expected = known[left] * (1 - share) + known[right] * share
        assert factor_at(keyframes, place, easing) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("text", "expected"), READ.items())
def test_texts(text, expected):
    assert read_keyframes(text, 1) == expected


@pytest.mark.parametrize(("text", "named"), BAD.items())
def test_what_cannot_be_read_is_named_with_its_place(text, named):
    with pytest.raises(SettingError, match=named):
        read_keyframes(text, 1)


def test_over_sampling_and_frames():
    schedule = WeightSchedule.parse("0:1, 1:0.5", "0:0, 4:1", 7, Easing.LINEAR)
    assert schedule.at(0.5) == 0.75
    assert schedule.curves == ((0, 0.25, 0.5, 0.75, 1, 1, 1),)


def test_without_frames_the_number_of_frames_does_not_matter():
    assert WeightSchedule.parse("1", " ", 0, Easing.LINEAR).curves == ()


@pytest.mark.parametrize("frames", [-1, 0, 4097, 10_000])
def test_numbers_of_frames_that_no_animation_has(frames):
    for make in (
        lambda: WeightSchedule.parse("1", "0:1", frames, Easing.LINEAR),
        lambda: WeightSchedule(curves=((1.0,) * frames,)),
    ):
        with pytest.raises(SettingError, match=f"from 1 to 4096 frames, got {max(0, frames)}|got {frames}"):
            make()


def test_a_keyframe_beyond_the_last_frame_is_named():
    with pytest.raises(SettingError, match=r"line 1, character 6: expected a place from 0 to 7"):
        WeightSchedule.parse("1", "0:1, 8:0", 8, Easing.LINEAR)


@pytest.mark.parametrize("factors", [[0.5, 1, 2], [[0.5, 1], [2]], ([0.5, 1, 2],), numpy.array([0.5, 1, 2])])
def test_a_list_from_another_node(factors):
    schedule = WeightSchedule(((0.0, 0.3),)).with_factors(factors)
    assert schedule.curves == ((0.5, 1, 2),)
    assert schedule.at(0) == 0.3


def test_one_number_from_another_node_is_for_all_frames():
    schedule = WeightSchedule(((0.0, 0.5), (1.0, 1.0))).with_factors([3])
    assert schedule == WeightSchedule(((0.0, 1.5), (1.0, 3.0)))


@pytest.mark.parametrize(
    ("factors", "named"), [([], "got 0"), ([1, math.nan, 1], "at frame 1"), ([1.0] * 10_000, "got 10000")]
)
def test_lists_that_are_none(factors, named):
    with pytest.raises(SettingError, match=named):
        WeightSchedule().with_factors(factors)


def test_a_list_and_a_text_contradict():
    with pytest.raises(SettingError, match="got both"):
        WeightSchedule(curves=((1.0, 0.5),)).with_factors([1, 2])


def test_curves_of_pictures_are_equally_long():
    with pytest.raises(SettingError, match=r"as many frames for every picture, got \[2, 3\]"):
        WeightSchedule(curves=((1.0, 0.5), (1.0, 0.5, 0.0)))
