"""Pictures of layer weights and schedules: what is drawn follows the numbers."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.bases.base_models import BASE_SITES
from ip_adapter_nodes.ip_adapter.weights.crossfade import crossfade
from ip_adapter_nodes.ip_adapter.weights.keyframes import Easing
from ip_adapter_nodes.ip_adapter.weights.layer_plot import layer_picture as drawn_layers
from ip_adapter_nodes.ip_adapter.weights.layer_weights import LayerWeights
from ip_adapter_nodes.ip_adapter.weights.plot import BLUE, GREEN, ORANGE, VERMILION, Canvas
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule
from ip_adapter_nodes.ip_adapter.weights.schedule_plot import schedule_picture as drawn_schedule

SDXL = BASE_SITES["SDXL"]


def layer_picture(*arguments):
    """With height, width and channels in the order in which these tests count."""
    return drawn_layers(*arguments).movedim(1, -1)


def schedule_picture(schedule):
    return drawn_schedule(schedule).movedim(1, -1)


def pixels(picture, colour):
    """Where a picture has exactly this colour, (height, width)."""
    return ((picture[0] * 255).round().long() == torch.tensor(colour)).all(-1)


def drawn(text, weight_type="linear", sites=SDXL, colour=BLUE):
    """Pixels of the bars; the legend below them is cut off."""
    return pixels(layer_picture(LayerWeights.parse(text, weight_type), sites), colour)[:-60]


def area(text):
    return int(drawn(text).sum())


@pytest.mark.parametrize("base", BASE_SITES)
def test_an_image_as_the_host_has_them(base):
    picture = layer_picture(LayerWeights((), "style transfer precise"), BASE_SITES[base])
    assert picture.dtype is torch.float32
    assert picture.shape[0::2] == (1, 768)
    assert 300 < picture.shape[1] < 700
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert not torch.equal(picture, torch.ones_like(picture))


def test_bars_are_as_high_as_their_factors():
    full = area("")
    assert area("all:0.5") == pytest.approx(full / 2, rel=0.05)
    assert area("in:0, mid:0") == pytest.approx(full * 6 / 11, rel=0.05)
    assert area("all:0") == 0
    assert area("out1:2") == pytest.approx(full * 6 / 11, rel=0.05)  # the highest sets the scale


def test_a_depth_has_a_bar_of_its_own():
    full = area("all:0, in7:1")
    assert area("all:0, in7:1, in7.3:0") == pytest.approx(full * 9 / 10, rel=0.02)


def test_inputs_stand_left_outputs_right_and_the_middle_between():
    columns = [drawn(f"all:0, {part}:1").any(0).nonzero() for part in ("in", "mid", "out")]
    assert columns[0].max() < columns[2].min()
    assert 300 < columns[1].min() < columns[1].max() < 468


def test_colours_tell_the_direction():
    assert drawn("", "style transfer precise", colour=VERMILION).any()
    assert not drawn("", "style transfer", colour=VERMILION).any()
    assert drawn("out1:-1", colour=ORANGE).any()
    assert not drawn("", colour=ORANGE).any()


def test_a_schedule_has_a_line_per_picture_in_its_colour():
    fade = schedule_picture(WeightSchedule(curves=crossfade(3, 2, 2, Easing.LINEAR)))
    assert fade.shape == (1, 600, 768, 3)
    for colour in (BLUE, VERMILION, GREEN):
        assert pixels(fade, colour)[300:].any()
    one = schedule_picture(WeightSchedule())
    assert one.shape == (1, 300, 768, 3)
    assert not pixels(one, VERMILION).any()


def heights(schedule, panel=0):
    """The middle of the blue line over each column of a panel, upwards in pixels."""
    blue = pixels(schedule_picture(schedule), BLUE)[300 * panel : 300 * (panel + 1)]
    columns = [blue[:, x].nonzero().float().mean() for x in range(60, 740)]
    return 300 - torch.stack(columns)


@pytest.mark.parametrize("panel", [0, 1])
def test_a_line_lies_where_its_factors_are(panel):
    curves = (tuple(n / 15 for n in range(16)),) if panel else ()
    points = ((0.0, 0.0), (1.0, 1.0)) if not panel else ((0.0, 1.0),)
    given = heights(WeightSchedule(points, curves=curves), panel)
    straight = torch.linspace(float(given[0]), float(given[-1]), len(given))
    assert given[-1] - given[0] > 180
    assert (given - straight).abs().max() < 2


@pytest.mark.parametrize(
    "schedule", [WeightSchedule(curves=((2.0,),)), WeightSchedule(((0.0, -3.0),)), WeightSchedule()]
)
def test_flat_lines_are_visible(schedule):
    assert pixels(schedule_picture(schedule), BLUE).any()


def test_text_is_written():
    canvas, empty = Canvas(100, 40), Canvas(100, 40)
    canvas.text((5, 20), "in4", 16)
    assert (canvas.picture() < 0.5).any()
    assert (empty.picture() == 1).all()
