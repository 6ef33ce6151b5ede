"""Layer weights by name, from text and together with weight types."""

import math

import pytest
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.bases.base_models import BASE_SITES
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.weights.layer_weights import LayerWeights, site_strengths
from ip_adapter_nodes.ip_adapter.weights.weight_types import WEIGHT_TYPES, Direction

BLOCKS = [("input", 1, 0), ("input", 1, 1), ("output", 10, 0), ("output", 1, 0), ("middle", 0, 0)]
SITES = tuple(Site(block, 8, 4, 1) for block in BLOCKS)  # as run: in1 (two deep), mid, out1, out10


def factors(weights, sites=SITES):
    return [strength.factor for strength in weights.at(sites)]


TEXTS = {
    "": [1, 1, 1, 1, 1],
    "in1:0.5": [0.5, 0.5, 1, 1, 1],
    "in1.1:0.5": [1, 0.5, 1, 1, 1],
    "IN 01 . 1 : +.5": [1, 0.5, 1, 1, 1],
    "out1:0": [1, 1, 1, 0, 1],
    "out10:-2e-1": [1, 1, -0.2, 1, 1],
    "out1-10:3": [1, 1, 3, 3, 1],
    "out0-9:3": [1, 1, 1, 3, 1],
    "mid:0,\n in:2": [2, 2, 1, 1, 0],
    "input 1 0:4, middle 0 0:5, output:6,": [4, 1, 6, 6, 5],
    "1:7, 3:8": [1, 1, 8, 1, 7],
    "0-1.0:9": [9, 1, 1, 1, 9],
    "all:0, out1:1": [0, 0, 0, 1, 0],
    "out1:1, all:0": [0, 0, 0, 0, 0],
    "all.1:0": [1, 0, 1, 1, 1],
    "0.1, 0.2, 0.3, 0.4": [0.1, 0.1, 0.4, 0.3, 0.2],
    "1\n2\n3\n4\n": [1, 1, 4, 3, 2],
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.items())
def test_texts_mean(text, expected):
    assert factors(LayerWeights.parse(text)) == expected


@pytest.mark.parametrize("text", TEXTS)
def test_text_round_trip(text):
    weights = LayerWeights.parse(text)
    assert LayerWeights.parse(weights.text()) == weights
    assert LayerWeights.parse(weights.text()).text() == weights.text()


@pytest.mark.parametrize("number", [1 / 3, 0.1 + 0.2, 1e-7, 5e-324, -1.7e308])
def test_numbers_survive_the_round_trip(number):
    assert LayerWeights.parse(LayerWeights((("in1", number),)).text()).factors == (("in1", number),)


UNREADABLE = {
    "in1:0.5, in2=1": ("line 1, character 10", "'in2=1'"),
    "in1:0.5\nmid:x": ("line 2, character 1", "'mid:x'"),
    "in1:0.5,, mid:1": ("line 1, character 9", "''"),
    "nose:1": ("line 1, character 1", "'nose:1'"),
    "in1:nan": ("line 1, character 1", "'in1:nan'"),
    "in1:inf": ("line 1, character 1", "'in1:inf'"),
    "in1:1e999": ("line 1, character 1", "'in1:1e999'"),
    "in-1:1": ("line 1, character 1", "'in-1:1'"),
    ":1": ("line 1, character 1", "':1'"),
    "all7:1": ("line 1, character 1", "'all7:1'"),
    "in1:": ("line 1, character 1", "'in1:'"),
    "in1:0.5, 0.3": ("line 1, character 10", "numbers alone, one per block"),
}


@pytest.mark.parametrize(("text", "named"), UNREADABLE.items())
def test_what_cannot_be_read_is_named_with_its_place(text, named):
    with pytest.raises(SettingError, match=r"expected .* in4:0\.5") as error:
        LayerWeights.parse(text)
    assert all(part in str(error.value) for part in named)


@pytest.mark.parametrize("name", ["in4", "in4 0", "out2-9", "in1.2", "mid.1", "4", "out10-1"])
def test_layers_that_the_model_lacks_are_named_with_those_it_has(name):
    with pytest.raises(SettingError, match=rf"named {name} in .*It has in1, mid, out1, out10"):
        LayerWeights(((name, 1.0),)).at(SITES)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_table_of_another_length_is_refused(count):
    with pytest.raises(SettingError, match=rf"Expected 4 .* for in1, mid, out1, out10, got {count}"):
        LayerWeights.parse(", ".join(["1"] * count)).at(SITES)


def test_unknown_weight_type_is_named_with_those_that_exist():
    for make in (lambda: site_strengths("lineal", None, SITES), lambda: LayerWeights((), "lineal")):
        with pytest.raises(SettingError, match=r"'lineal'.*linear, ease in"):
            make()


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_factor_that_is_no_number_is_named(factor):
    with pytest.raises(SettingError, match="NaN or infinity for middle 0"):
        LayerWeights((("input 1", 1.0), ("middle 0", factor)))


@pytest.mark.parametrize("base", ["Stable Diffusion 1.5", "SDXL"])
@pytest.mark.parametrize("weight_type", WEIGHT_TYPES)
def test_weight_type_preset_and_text_multiply(weight_type, base):
    sites = BASE_SITES[base]
    own = site_strengths(weight_type, None, sites)
    preset = site_strengths("ease out", None, sites)
    given = site_strengths(weight_type, LayerWeights.parse("out1-4:-0.5, mid:3, in8.0:0", "ease out"), sites)
    for site, left, right, result in zip(sites, own, preset, given, strict=True):
        part, number, depth = site.block
        text = {"input": 0 if (number, depth) == (8, 0) else 1, "middle": 3, "output": -0.5 if 1 <= number <= 4 else 1}
        assert result.factor == pytest.approx(left.factor * right.factor * text[part], abs=1e-12)
        assert result.direction is left.direction


def test_away_from_either_side_is_away():
    sites = BASE_SITES["SDXL"]
    both = site_strengths("style transfer precise", LayerWeights((), "composition precise"), sites)
    directions = {site.block[:2]: strength.direction for site, strength in zip(sites, both, strict=True)}
    assert directions["input", 8] is directions["output", 1] is Direction.AWAY
