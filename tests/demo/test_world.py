"""The demo world's pictures against geometry and colours written out here."""

import math
from dataclasses import replace

import pytest
import torch
from ip_adapter_nodes.demo.world import (
    ATTRIBUTES,
    COLOURS,
    SHAPES,
    TEXTURES,
    Scenes,
    caption,
    render,
    sample_scenes,
    silhouettes,
)

CSS = {
    "red": (255, 0, 0),
    "yellow": (255, 255, 0),
    "green": (0, 128, 0),
    "cyan": (0, 255, 255),
    "blue": (0, 0, 255),
    "pink": (255, 192, 203),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}


def ring(radii):
    """Corners (x, y) at equal angles from the top, y pointing down."""
    return [
        (r * math.sin(2 * math.pi * k / len(radii)), -r * math.cos(2 * math.pi * k / len(radii)))
        for k, r in enumerate(radii)
    ]


CORNERS = {
    "square": [(-0.84, -0.84), (0.84, -0.84), (0.84, 0.84), (-0.84, 0.84)],
    "triangle": [(x, y + 0.15) for x, y in ring([1.2] * 3)],
    "star": ring([1.08, 0.48] * 5),
    "cross": [
        *[(-0.32, -0.95), (0.32, -0.95), (0.32, -0.32), (0.95, -0.32), (0.95, 0.32), (0.32, 0.32)],
        *[(0.32, 0.95), (-0.32, 0.95), (-0.32, 0.32), (-0.95, 0.32), (-0.95, -0.32), (-0.32, -0.32)],
    ],
}
AREAS = {
    "circle": math.pi,
    "square": 1.68**2,
    "triangle": 3 * math.sqrt(3) * 0.6**2,
    "star": 5 * 1.08 * 0.48 * math.sin(math.pi / 5),
    "heart": (4 + math.pi) * 0.56**2,
    "cross": 2 * 1.9 * 0.64 - 0.64**2,
}


def in_polygon(corners, x, y):
    """Even-odd rule: how many edges a ray to the right crosses."""
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < x1 + (x2 - x1) * (y - y1) / (y2 - y1))
    return inside


def inside_of(shape, x, y):
    if shape == "circle":
        return x**2 + y**2 < 1
    if shape == "heart":
        y = y - 0.14
        lobe = 0.56 / math.sqrt(2)
        discs = [(x - side * lobe) ** 2 + (y + lobe) ** 2 < 0.56**2 for side in (-1, 1)]
        return (x.abs() + y.abs() < 2 * lobe) | discs[0] | discs[1]
    return in_polygon(CORNERS[shape], x, y)


def scenes_of(shape, count=1, centred=False, **attributes):
    """Random scenes of one shape; the other labels by their index, or as drawn."""
    scenes = sample_scenes(count, torch.Generator().manual_seed(SHAPES.index(shape)))
    labels = scenes.labels.clone()
    for name, value in {"shape": SHAPES.index(shape), **attributes}.items():
        labels[:, list(ATTRIBUTES).index(name)] = value
    scenes = scenes.with_labels(labels)
    if not centred:
        return scenes
    return Scenes(**{**scenes.__dict__, "centre": torch.zeros(count, 2), "angle": torch.zeros(count)})


@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_are_inside_where_geometry_says(shape):
    """All of them, but for a pixel whose centre lies on the edge within rounding."""
    size = 96
    scenes = scenes_of(shape, 6)
    axis = (torch.arange(size) + 0.5) * 2 / size - 1
    for index in range(len(scenes)):
        turn = torch.polar(torch.tensor(1.0), -scenes.angle[index])
        point = torch.complex(axis[None, :] - scenes.centre[index, 0], axis[:, None] - scenes.centre[index, 1]) * turn
        point = point / scenes.radius[index]
        covered = silhouettes(scenes.rows(slice(index, index + 1)), size)[0]
        assert ((covered > 0.5) != inside_of(shape, point.real, point.imag)).sum() <= 2


@pytest.mark.parametrize("shape", SHAPES)
def test_area(shape):
    scenes = scenes_of(shape, 8)
    areas = silhouettes(scenes, 256).sum((1, 2)) * (2 / 256) ** 2
    expected = AREAS[shape] * scenes.radius**2
    assert ((areas - expected).abs() < 0.01 * expected).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_points_that_everybody_knows(shape):
    picture = silhouettes(scenes_of(shape, centred=True), 101)[0]
    assert picture[50, 50] == 1
    assert picture[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [0, 0, 0, 0]
    assert torch.allclose(picture, picture.flip(1), atol=1e-4)
    is_symmetric_upside_down = torch.allclose(picture, picture.flip(0), atol=1e-4)
    assert is_symmetric_upside_down == (shape in ("circle", "square", "cross"))


@pytest.mark.parametrize("shape", SHAPES)
def test_edges_are_as_soft_as_the_mean_over_a_pixel(shape):
    """Against 8 x 8 points in every pixel; only the few pixels at corners may differ by more than a straight edge."""
    scenes = scenes_of(shape, 2)
    exact = (silhouettes(scenes, 1024) > 0.5).float().unfold(1, 8, 8).unfold(2, 8, 8).mean((3, 4))
    difference = (silhouettes(scenes, 128) - exact).abs()
    assert ((difference > 0.1).sum((1, 2)) <= 12).all()
    assert difference.mean() < 1e-3


@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_agree(shape):
    scenes = scenes_of(shape, 4)
    reduced = torch.nn.functional.avg_pool2d(render(scenes, 256), 2)
    assert (reduced - render(scenes, 128)).abs().mean() < 3e-3


def nearest_name(colour):
    """The CSS colour of that name which is nearest."""
    names = {name: (colour - torch.tensor(values) / 255).norm() for name, values in CSS.items()}
    return min(names, key=names.get)


def test_colours_are_what_their_labels_say():
    scenes = sample_scenes(96, torch.Generator().manual_seed(1))
    labels = scenes.labels.clone()
    labels[:, 2] = TEXTURES.index("plain")
    scenes = scenes.with_labels(labels)
    pictures, covered = render(scenes, 48), silhouettes(scenes, 48)
    for picture, mask, label in zip(pictures, covered, labels, strict=True):
        assert nearest_name(picture[:, mask == 1].mean(1)) == COLOURS[label[1]]
        assert nearest_name(picture[:, mask == 0].mean(1)) == COLOURS[label[3]]


@pytest.mark.parametrize(("texture", "share"), [("plain", 0.0), ("striped", 0.5), ("dotted", math.pi * 0.32**2)])
def test_share_of_the_second_tone(texture, share):
    """Over many phases the shares of stripes and dots are those of one period."""
    red, blue = COLOURS.index("red"), COLOURS.index("blue")
    scenes = scenes_of("square", 64, texture=TEXTURES.index(texture), colour=red, background=blue)
    scenes = replace(scenes, phase=torch.rand(64, 2, generator=torch.Generator().manual_seed(0)))
    inside = silhouettes(scenes, 64) == 1
    dark = (render(scenes, 64)[:, 0] < 0.65) & inside
    assert float(dark.sum() / inside.sum()) == pytest.approx(share, abs=0.02)


def test_stripes_are_lines_and_dots_are_spots():
    """Without a turn of the object stripes lie level: all columns are alike, and the rows differ."""
    scenes = [scenes_of("square", centred=True, texture=texture, colour=0, background=4) for texture in (1, 2)]
    stripes, dots = (render(scene, 128)[0, 0, 40:88, 40:88] for scene in scenes)
    assert stripes.std(dim=1).max() < 1e-3
    assert stripes.std(dim=0).min() > 0.05
    assert dots.std(dim=1).mean() > 0.05
    assert dots.std(dim=0).mean() > 0.05


def test_sampling_is_repeatable_and_covers_every_label():
    scenes, again = (sample_scenes(2000, torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(value, again.__dict__[name]) for name, value in scenes.__dict__.items() if name != "looks")
    assert (scenes.labels[:, 1] != scenes.labels[:, 3]).all()
    for column, values in enumerate(ATTRIBUTES.values()):
        counts = scenes.labels[:, column].bincount(minlength=len(values))
        expected = 2000 / len(values)
        assert ((counts - expected).abs() < 5 * expected**0.5).all()


def test_objects_stay_in_the_picture():
    scenes = sample_scenes(300, torch.Generator().manual_seed(2))
    covered = silhouettes(scenes, 48) > 0.5
    border = torch.cat([covered[:, 0], covered[:, -1], covered[:, :, 0], covered[:, :, -1]], dim=1)
    assert border.float().mean() < 0.01


def test_captions():
    labels = [SHAPES.index("star"), COLOURS.index("red"), TEXTURES.index("striped"), COLOURS.index("blue")]
    assert caption(labels) == "a striped red star on a blue background"
    assert caption(labels, (True, False, False, False)) == "a star"
    assert caption(labels, (False, True, False, True)) == "a red on a blue background"
    assert caption(labels, (False, False, False, True)) == "a blue background"
    assert caption(labels, (False,) * 4) == ""
