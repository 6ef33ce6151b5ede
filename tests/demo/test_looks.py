"""What a picture shows of a look, against colours and places measured in pictures with and without it."""

import math
from dataclasses import replace

import pytest
import torch
from ip_adapter_nodes.demo import world
from ip_adapter_nodes.demo.looks import (
    DIRECTIONS,
    LOOKS,
    OUTLINES,
    PATTERNS,
    STYLES,
    UNKNOWN,
    WARMTHS,
    plain,
    sample_looks,
)

SIZE = 128
RED, BLUE, WHITE, BLACK = (world.COLOURS.index(name) for name in ("red", "blue", "white", "black"))


def scene(shape="square", colour=RED, background=BLUE, **changes):
    """One plain scene in the middle of the frame but for these looks."""
    one = world.sample_scenes(1, torch.Generator().manual_seed(0))
    labels = torch.tensor([[world.SHAPES.index(shape), colour, 0, background]])
    still = {"centre": torch.zeros(1, 2), "angle": torch.zeros(1), "radius": torch.full((1,), 0.6)}
    still |= {"jitter": torch.zeros(1, 2, 3), "gradient": torch.zeros(1, 2)}
    kinds = [changes.pop(name, 0) for name in ("pattern", "outline", "style")]
    looks = replace(plain(1), kinds=torch.tensor([kinds]), lit=torch.ones(1))
    looks = replace(looks, **{name: torch.tensor([float(value)]) for name, value in changes.items()})
    return replace(one, labels=labels, looks=looks, **still)


def drawn(**changes):
    return world.render(scene(**changes), SIZE)[0]


def unlit(**changes):
    return drawn(lit=0, **changes)


def dark_side(picture):
    """Angle in degrees from the middle towards where a picture (h, w) is darker, y pointing down."""
    axis = (torch.arange(SIZE) + 0.5) * 2 / SIZE - 1
    across, down = (picture.mean(0) * axis).sum(), (picture.mean(1) * axis).sum()
    return math.degrees(math.atan2(-down, -across)) % 360


def test_plain_scenes_are_drawn_plainly():
    scenes = world.sample_styled_scenes(64, torch.Generator().manual_seed(1))
    things = world.sample_scenes(64, torch.Generator().manual_seed(1))
    assert world.render(replace(scenes, looks=plain(64)), 32).equal(world.render(things, 32))
    is_plain = scenes.looks.lit == 0
    assert 0 < is_plain.sum() < 32
    same = (world.render(scenes, 32) == world.render(things, 32)).flatten(1).all(dim=1)
    assert same.equal(is_plain)


def test_every_look_is_drawn_alike_often_and_apart_from_the_others():
    looks = sample_looks(20_000, torch.Generator().manual_seed(2), plain_share=0.25)
    labels = looks.labels()
    styled = labels[:, 3] != UNKNOWN
    assert styled.float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert styled.equal(labels[:, 4] != UNKNOWN)
    assert (labels[~styled, :3] == 0).all()
    for column, count in zip(labels[styled].T, LOOKS.values(), strict=True):
        shares = column.bincount(minlength=count) / styled.sum()
        assert (shares - 1 / count).abs().max() < 0.02
    pairs = labels[styled].float()
    assert (torch.corrcoef(pairs.T) - torch.eye(5)).abs().max() < 0.04


@pytest.mark.parametrize("light", [0, 60, 135, 200, 300])
def test_the_background_is_darker_away_from_the_light(light):
    dark = dark_side(drawn(shape="circle", light=math.radians(light)).mean(0))
    assert abs((dark - light) % 360 - 180) < 2
    assert world.render(scene(light=math.radians(light)), SIZE)[0].equal(drawn(light=math.radians(light)))


def test_light_and_warmth_are_read_in_equal_steps():
    angles = torch.arange(360) * math.pi / 180
    looks = sample_looks(360, torch.Generator().manual_seed(0), plain_share=0.0)
    labels = replace(looks, light=angles, warmth=torch.linspace(-1, 1, 360)).labels()
    assert labels[:, 3].bincount().tolist() == [360 // DIRECTIONS] * DIRECTIONS
    assert labels[[0, 22, 23, 90, 338], 3].tolist() == [0, 0, 1, 2, 0]
    assert labels[:, 4].bincount().tolist() == [360 // WARMTHS] * WARMTHS
    assert (labels[1:, 4] >= labels[:-1, 4]).all()


@pytest.mark.parametrize(("warmth", "more", "less"), [(1, 0, 2), (-1, 2, 0)])
def test_warm_light_is_orange_and_cold_light_blue(warmth, more, less):
    neutral, tinted = unlit(colour=WHITE, background=BLACK), unlit(colour=WHITE, background=BLACK, warmth=warmth)
    white, black = (slice(None), 64, 64), (slice(None), 2, 2)
    assert neutral[white][more] - tinted[white][more] < 0.1 < neutral[white][less] - tinted[white][less]
    assert tinted[black][more] - neutral[black][more] > 0.2 > tinted[black][less] - neutral[black][less]


def test_patterns_lie_where_their_names_say():
    def second_tone(pattern):
        even, other = (unlit(pattern=PATTERNS.index(name)).mean(0) for name in ("even", pattern))
        return (other - even).abs() > 0.05

    centre, corner, top, bottom, left = (64, 64), (2, 2), (2, 64), (125, 64), (50, 2)
    wanted = {
        "even": (),
        "horizon": (bottom,),
        "spotlight": (corner, top, bottom, left),
        "columns": (corner, left),
        "diagonal": (bottom,),
    }
    for pattern, places in wanted.items():
        changed = second_tone(pattern)
        assert [place for place in (centre, corner, top, bottom, left) if changed[place]] == list(places)


def test_outlines_have_their_colour_and_width():
    for kind, name in enumerate(OUTLINES):
        row = unlit(shape="circle", outline=kind)[:, 64]
        white, black = (row.amin(0) > 0.97).sum().item(), (row.amax(0) < 0.03).sum().item()
        width = {"thin": 2 * 0.06, "thick": 2 * 0.12}.get(name.split()[0], 0) * SIZE / 2  # to both sides of the circle
        assert max(white, black) == pytest.approx(width, abs=2)
        assert min(white, black) == 0
        assert name == "none" or (white > black) == name.endswith("white")


def test_an_outline_that_could_not_be_seen_has_the_other_colour_or_is_left_out():
    def outline(colour, background, kind):
        return OUTLINES[scene(colour=colour, background=background, outline=OUTLINES.index(kind)).look_labels()[0, 1]]

    assert outline(RED, BLUE, "thin black") == "thin black"
    assert outline(BLACK, BLUE, "thin black") == "thin white"
    assert outline(RED, WHITE, "thick white") == "thick black"
    assert outline(BLACK, WHITE, "thick white") == outline(WHITE, BLACK, "thin black") == "none"


def test_styles():
    light = math.pi / 2  # from below
    flat, shaded, glossy, shadow = (drawn(style=kind, light=light).mean(0) for kind in range(len(STYLES)))
    inside, below, above = (64, 64), (75, 64), (40, 64)
    assert shaded[95, 64] > flat[95, 64] + 0.1 > flat[33, 64] > shaded[33, 64] + 0.05
    assert glossy[77, 64] > flat[77, 64] + 0.3
    assert (glossy - flat).abs()[:40].max() < 0.05
    changed = (shadow - flat).abs() > 0.02
    assert changed[26:31, 40:88].all()  # above the object, whose edge lies at 31.7
    assert not (changed[inside])
    assert not (changed[below])
    assert not (changed[above])
    assert not (changed[100:].any())
