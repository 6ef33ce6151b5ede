"""When an adapter acts, against numpy's interpolation and the noise levels of Stable Diffusion's own schedule."""

import math

import numpy
import pytest
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule, timing

POINTS = ((0.0, 0.2), (0.25, 1.0), (0.5, -1.0), (0.9, 0.5))


def ddpm_sigmas():
    """sqrt((1 - a) / a) of the scaled-linear betas from 0.00085 to 0.012 in 1000 steps."""
    betas = numpy.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alphas = numpy.cumprod(1 - betas)
    return numpy.sqrt((1 - alphas) / alphas)


LOG_SIGMAS = numpy.log(ddpm_sigmas())


def to_sigma(progress):
    """Progress 0 is before all noise levels and 1 after, as in the host; between them the timestep falls linearly."""
    if progress <= 0:
        return 999999999.9
    if progress >= 1:
        return 0.0
    return math.exp(numpy.interp(999 * (1 - progress), numpy.arange(1000), LOG_SIGMAS))


@pytest.mark.parametrize("points", [POINTS, ((0.3, 2.0),), ((0.0, 0.0), (1.0, 1.0))])
def test_straight_lines_between_points(points):
    schedule = WeightSchedule(points)
    for place in numpy.linspace(0, 1, 257):
        assert schedule.at(place) == pytest.approx(numpy.interp(place, *zip(*points, strict=True)), abs=1e-12)


def test_a_step_takes_its_later_value():
    schedule = WeightSchedule(((0.0, 1.0), (0.5, 1.0), (0.5, 0.0), (1.0, 0.0)))
    assert [schedule.at(place) for place in (0.499, 0.5, 0.501)] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "points",
    [(), ((0.5, 1.0), (0.4, 1.0)), ((-0.1, 1.0),), ((0.0, 1.0), (1.1, 1.0)), ((math.nan, 1.0),), ((0.0, math.nan),)],
)
def test_points_that_are_no_schedule(points):
    with pytest.raises(SettingError, match="ascending places from 0 to 1"):
        WeightSchedule(points)


def test_the_whole_range_needs_no_decision():
    assert timing(0.0, 1.0, None, to_sigma) is None


def test_range_includes_both_ends():
    when = timing(0.2, 0.6, None, to_sigma)
    first, last = to_sigma(0.2), to_sigma(0.6)
    assert [when.factor(sigma) for sigma in (first, last, (first + last) / 2)] == [1.0, 1.0, 1.0]
    assert [when.factor(sigma) for sigma in (math.nextafter(first, 1e9), math.nextafter(last, 0.0), 1e9, 0.0)] == [
        0.0
    ] * 4


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.5, 1.0)])
def test_open_ends_include_every_noise_level(start, end):
    when = timing(start, end, None, to_sigma)
    assert when.factor(ddpm_sigmas()[-1]) == (start == 0.0)
    assert when.factor(ddpm_sigmas()[0]) == (end == 1.0)


def test_schedule_follows_the_progress_of_sampling():
    """Between two tabulated steps of progress a schedule can move by no more than its steepest slope times the step."""
    when = timing(0.0, 1.0, WeightSchedule(POINTS), to_sigma)
    steepest = 8.0
    for progress in numpy.linspace(0.0005, 0.9995, 333):
        expected = numpy.interp(progress, *zip(*POINTS, strict=True))
        assert when.factor(to_sigma(progress)) == pytest.approx(expected, abs=1.001 * steepest / 1000)


def test_schedule_at_the_very_ends():
    when = timing(0.0, 1.0, WeightSchedule(((0.0, 3.0), (1.0, 5.0))), to_sigma)
    assert when.factor(0.0) == 5.0
    assert when.factor(999999999.9) == 3.0
    assert when.factor(ddpm_sigmas()[-1]) == pytest.approx(3.0, abs=0.003)


def test_schedule_is_cut_to_the_range():
    when = timing(0.4, 0.6, WeightSchedule(((0.0, 2.0), (1.0, 2.0))), to_sigma)
    assert [when.factor(to_sigma(progress)) for progress in (0.39, 0.41, 0.59, 0.61)] == [0.0, 2.0, 2.0, 0.0]


@pytest.mark.parametrize(("start", "end"), [(0.6, 0.4), (-0.1, 1.0), (0.0, 1.1), (math.nan, 1.0), (0.0, math.nan)])
def test_ranges_that_are_none(start, end):
    with pytest.raises(SettingError, match="start_percent <= end_percent"):
        timing(start, end, None, to_sigma)
