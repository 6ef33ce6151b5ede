"""Which maps there are, and their names, for every kind of application; how they are drawn."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.applying.application import Application
from ip_adapter_nodes.ip_adapter.attention.pairs import Pairs
from ip_adapter_nodes.ip_adapter.attention.region import WHOLE
from ip_adapter_nodes.ip_adapter.attention_maps.layer_groups import LayerGroup, read_groups
from ip_adapter_nodes.ip_adapter.attention_maps.map_pictures import HeatmapStyle, Scale, heat
from ip_adapter_nodes.ip_adapter.attention_maps.map_pictures import map_pictures as drawn
from ip_adapter_nodes.ip_adapter.attention_maps.maps import AttentionMap, MapOptions, Show, Steps, attention_maps
from ip_adapter_nodes.ip_adapter.attention_maps.run import Run, SumKey
from ip_adapter_nodes.ip_adapter.bases.base_models import BASE_SITES
from ip_adapter_nodes.ip_adapter.errors import SettingError

MIDDLE, LAST = ("middle", 0, 0), ("output", 11, 0)
GROUPS = [LayerGroup("mid", frozenset([MIDDLE])), LayerGroup("out11", frozenset([LAST]))]
SITES = BASE_SITES["Stable Diffusion 1.5"]


def run_of(*applications, rows=1, parts=4):
    """Every application at the middle block in each part but the first, with values that tell them apart."""
    run = Run(rows, [4.0, 3.0, 2.0, 1.0, 0.0], parts)
    for number, application in enumerate(applications):
        for part in range(1, parts):
            maps = torch.arange(1.0, len(application.pictures) * application.tokens + 2)[None, :, None, None]
            values = (100 * number + 10 * part + maps).expand(rows, -1, 2, 2)
            run.add(SumKey(application, MIDDLE, part, (2, 2)), WHOLE, tuple(range(rows)), values)
    return run


ONE = Application("a.safetensors", pictures=range(2), tokens=2)
NAMED = {
    "one adapter": ([ONE], ["picture 1, token 1", "picture 1, token 2", "picture 2, token 1", "picture 2, token 2"]),
    "two files": (
        [Application("a.bin", tokens=1), Application("b.bin", tokens=1)],
        ["picture 1, token 1, a", "picture 1, token 1, b"],
    ),
    "one file twice": (
        [Application("a.bin", tokens=1), Application("a.bin", tokens=1)],
        ["picture 1, token 1, a (1)", "picture 1, token 1, a (2)"],
    ),
    "a crossfade": (
        [Application("a.bin", pictures=range(n, n + 1), tokens=1) for n in range(2)],
        ["picture 1, token 1", "picture 2, token 1"],
    ),
    "one picture per latent": ([Application("a.bin", pairs=Pairs(2, 1), tokens=1)], ["own picture, token 1"]),
}


@pytest.mark.parametrize(("applications", "names"), NAMED.values(), ids=NAMED)
def test_every_map_says_what_it_is_of(applications, names):
    maps = attention_maps(run_of(*applications), MapOptions(Show.TOKENS, GROUPS[:1]))
    assert [one.subject for one in maps] == names


def test_influence_is_named_after_its_adapter():
    for applications, names in (
        ([ONE], ["a"]),
        (NAMED["one file twice"][0], ["a (1)", "a (2)"]),
        (NAMED["a crossfade"][0], ["picture 1", "picture 2"]),
    ):
        maps = attention_maps(run_of(*applications), MapOptions(Show.INFLUENCE, GROUPS[:1]))
        assert [one.subject for one in maps] == names


def test_parts_are_chosen_by_their_middle_and_shown_together_or_each():
    run = run_of(ONE)

    def means(**choice):
        maps = attention_maps(run, MapOptions(Show.INFLUENCE, GROUPS[:1], **choice))
        return [(one.span, float(one.values.mean())) for one in maps]

    assert means(start=0.25, end=0.75) == [((0.25, 0.75), 20.0)]
    assert means(start=0.4, end=0.7, steps=Steps.EACH_PART) == [((0.5, 0.75), 25.0)]
    assert means() == [((0.0, 1.0), 25.0)]  # the mean over the parts in which it acted
    assert [mean for _, mean in means(steps=Steps.EACH_PART)] == [0.0, 15.0, 25.0, 35.0]


def test_where_an_adapter_did_not_act_its_map_is_zero_and_an_error_if_all_are():
    run = run_of(ONE, rows=2)
    maps = attention_maps(run, MapOptions(Show.PICTURES, GROUPS))
    assert [(one.row, one.layers, bool(one.values.any())) for one in maps] == [
        (row, group, group == "mid") for row in range(2) for group in ("mid", "out11") for _ in range(2)
    ]
    with pytest.raises(SettingError, match="No adapter acted in these layers"):
        attention_maps(run, MapOptions(Show.PICTURES, GROUPS[1:]))
    with pytest.raises(SettingError, match="No adapter acted in these layers"):
        attention_maps(run, MapOptions(Show.PICTURES, GROUPS, end=0.25))


def test_groups_are_lines_of_layers():
    assert [group.name for group in read_groups("", SITES)] == ["all"]
    lines = read_groups("in4, mid\n\n out0-4 \neach", SITES)
    assert [group.name for group in lines[:2]] == ["in4, mid", "out0-4"]
    assert lines[0].sites == {("input", 4, 0), MIDDLE}
    assert lines[1].sites == {("output", 3, 0), ("output", 4, 0)}
    assert [group.name for group in lines[2:5]] == ["in1", "in2", "in4"]
    assert frozenset().union(*(group.sites for group in lines[2:])) == {site.block for site in SITES}
    (depth,) = read_groups("in7.3", BASE_SITES["SDXL"])
    assert depth.sites == {("input", 7, 3)}


def map_pictures(maps, images, style):
    """With height, width and channels in the order in which these tests count."""
    pictures, masks = drawn(maps, images.movedim(-1, 1), style)
    return pictures.movedim(1, -1), masks


def two_maps():
    low, high = torch.tensor([[0.0, 0.1], [0.2, 0.5]]), torch.tensor([[0.5, 0.6], [0.8, 1.0]])
    return [AttentionMap(row, "picture 1", "all", (0.0, 1.0), values) for row, values in enumerate((low, high))]


def test_masks_go_from_0_to_1_over_all_maps_or_each():
    pictures = torch.zeros(2, 64, 64, 3)
    _, alike = map_pictures(two_maps(), pictures, HeatmapStyle(Scale.ALL, size=64))
    _, each = map_pictures(two_maps(), pictures, HeatmapStyle(Scale.EACH, size=64))
    assert [(float(mask.min()), float(mask.max())) for mask in alike] == [(0.0, 0.5), (0.5, 1.0)]
    assert [(float(mask.min()), float(mask.max())) for mask in each] == [(0.0, 1.0)] * 2
    flat = [AttentionMap(0, "", "", (0.0, 1.0), torch.full((2, 2), 0.3))]
    assert not map_pictures(flat, pictures[:1], HeatmapStyle(size=64))[1].any()


def test_heat_lies_over_the_grey_picture_as_strongly_as_asked(generator):
    pictures = torch.rand(2, 64, 96, 3, generator=generator)
    grey = pictures.mean(-1, keepdim=True).expand(-1, -1, -1, 3)
    for strength in (0.0, 0.5, 1.0):
        images, masks = map_pictures(two_maps(), pictures, HeatmapStyle(strength=strength, size=96))
        expected = (1 - strength) * grey + strength * heat(masks)
        assert torch.allclose(images[:, -64:], expected, atol=1e-6)


def test_the_label_stands_above_and_differs_between_latents():
    images, masks = map_pictures(two_maps(), torch.zeros(2, 64, 96, 3), HeatmapStyle(size=96))
    strips = images[:, : images.shape[1] - masks.shape[1]]
    assert (strips.mean(-1) < 0.5).any(2).any(1).all()
    assert not torch.equal(strips[0], strips[1])


def test_heat_grows_lighter_from_black_to_a_pale_yellow():
    colours = heat(torch.linspace(0, 1, 101))
    light = colours @ torch.tensor([0.2126, 0.7152, 0.0722])
    assert (light.diff() > 0).all()
    assert (colours[[0, -1]] * 255).round().tolist() == [[0, 0, 4], [252, 255, 164]]
    assert torch.equal(heat(torch.tensor([-1.0, 2.0])), colours[[0, -1]])
