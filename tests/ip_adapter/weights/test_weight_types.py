"""Weight types against the formulas of ComfyUI_IPAdapter_plus, written over its transformer index `t`.

There `t` counts the transformers in the order in which the model runs them; `layers` is 16 for Stable Diffusion 1 and 2
and 11 for SDXL: how many there are. Other topologies have no published formula for style and composition; the blocks
that correspond are named here by hand.
"""

import pytest
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.bases.backbones import block_name, blocks_of
from ip_adapter_nodes.ip_adapter.bases.base_models import BASE_SITES
from ip_adapter_nodes.ip_adapter.weights.layer_weights import site_strengths
from ip_adapter_nodes.ip_adapter.weights.weight_types import WEIGHT_TYPES, Direction


def numbered(part, *numbers):
    return [f"{part}{number}" for number in numbers]


SD = [*numbered("in", 1, 2, 4, 5, 7, 8), "mid", *numbered("out", *range(3, 12))]
XL_INPUTS = numbered("in", 4, 5, 7, 8)
BLOCKS = {
    "Stable Diffusion 1.5": SD,
    "Stable Diffusion 2": SD,
    "SDXL": [*XL_INPUTS, "mid", *numbered("out", *range(6))],
    "SDXL refiner": [*XL_INPUTS, "mid", *numbered("out", *range(3, 9))],
    "SSD-1B": [*XL_INPUTS, *numbered("out", *range(6))],
    "Segmind Vega": [*XL_INPUTS, *numbered("out", *range(6))],
    "KOALA 700M": [*numbered("in", 3, 5), *numbered("out", *range(4))],
}

SPREAD = {
    "linear": lambda t, layers: 1,
    "ease in": lambda t, layers: 0.05 + 0.95 * (1 - t / layers),
    "ease out": lambda t, layers: 0.05 + 0.95 * (t / layers),
    "ease in-out": lambda t, layers: 0.05 + 0.95 * (1 - abs(t - layers / 2) / (layers / 2)),
    "reverse in-out": lambda t, layers: 0.05 + 0.95 * (abs(t - layers / 2) / (layers / 2)),
    "prompt is more important": lambda t, layers: 0.05 + 0.95 * (t / layers),
}
WEAK = {
    "weak input": ("in",),
    "weak middle": ("mid",),
    "weak output": ("out",),
    "strong middle": ("in", "out"),
}


def every(*indices, factor=1.0):
    return dict.fromkeys(indices, factor)


# Positive factors at `t`; what is not named is 0.
SD_STYLE = every(*range(4), *range(9, 16))
TOWARD = {
    "SDXL": {
        "style transfer": {6: 1},
        "composition": {3: 1},
        "strong style transfer": every(0, 1, 2, *range(4, 11)),
        "style and composition": {3: 1, 6: 1},
        "strong style and composition": every(*range(11)),
        "style transfer precise": {6: 1},
        "composition precise": {3: 1},
    },
    "Stable Diffusion 1.5": {
        "style transfer": SD_STYLE,
        "composition": {4: 0.25, 5: 1},
        "strong style transfer": every(*range(4), *range(6, 16)),
        "style and composition": SD_STYLE | {4: 0.25, 5: 1},
        "strong style and composition": every(*range(16)),
        "style transfer precise": SD_STYLE,
        "composition precise": {4: 0.25, 5: 1},
    },
}
# Factors at `t` where the picture stands on the negative side instead.
AWAY = {
    "SDXL": {
        "style transfer precise": {3: 1},
        "composition precise": every(0, 1, 2, 4, 5, 7, 8, 9, 10, factor=0.1) | {6: 1},
    },
    "Stable Diffusion 1.5": {
        "style transfer precise": {4: 0.25, 5: 1},
        "composition precise": SD_STYLE | every(6, 7, 8, factor=0.1),
    },
}
PLACES = {  # style, composition
    "SDXL": ("out1", "in8"),
    "SDXL refiner": ("out4", "in8"),
    "SSD-1B": ("out1", "in8"),
    "Segmind Vega": ("out1", "in8"),
    "KOALA 700M": ("out1", "in5"),
}


def table(weight_type, base):
    """What the core gives, by the name of the block; all depths of a block must agree."""
    sites = BASE_SITES[base]
    result = {}
    for site, strength in zip(sites, site_strengths(weight_type, None, sites), strict=True):
        name = block_name(site.block[:2])
        assert result.setdefault(name, strength) == strength
    return result


def factors(weight_type, base, direction=Direction.TOWARD):
    return {
        name: strength.factor if strength.direction is direction else 0
        for name, strength in table(weight_type, base).items()
    }


def by_index(base, given):
    return {name: given.get(t, 0) for t, name in enumerate(BLOCKS[base])}


@pytest.mark.parametrize("base", BLOCKS)
def test_blocks_in_the_order_of_execution(base):
    assert [block_name(block) for block in blocks_of(BASE_SITES[base])] == BLOCKS[base]


def test_every_type_has_its_formula_here():
    assert {*SPREAD, *WEAK, *TOWARD["SDXL"]} == set(WEIGHT_TYPES)


@pytest.mark.parametrize("base", BLOCKS)
@pytest.mark.parametrize("weight_type", SPREAD)
def test_types_along_the_way_through_the_model(weight_type, base):
    names = BLOCKS[base]
    expected = {name: SPREAD[weight_type](t, len(names)) for t, name in enumerate(names)}
    assert factors(weight_type, base) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("base", BLOCKS)
@pytest.mark.parametrize("weight_type", WEAK)
def test_types_by_part(weight_type, base):
    expected = {name: 0.2 if name.startswith(WEAK[weight_type]) else 1 for name in BLOCKS[base]}
    assert factors(weight_type, base) == expected


@pytest.mark.parametrize("base", TOWARD)
@pytest.mark.parametrize("weight_type", TOWARD["SDXL"])
def test_style_and_composition_of_published_tables(weight_type, base):
    assert factors(weight_type, base) == by_index(base, TOWARD[base][weight_type])
    assert factors(weight_type, base, Direction.AWAY) == by_index(base, AWAY[base].get(weight_type, {}))


@pytest.mark.parametrize("weight_type", TOWARD["SDXL"])
def test_stable_diffusion_2_is_laid_out_as_1(weight_type):
    assert table(weight_type, "Stable Diffusion 2") == table(weight_type, "Stable Diffusion 1.5")


@pytest.mark.parametrize(("base", "places"), PLACES.items())
def test_style_and_composition_of_the_kin_of_sdxl(base, places):
    style, composition = places
    assert {name for name, factor in factors("style transfer", base).items() if factor} == {style}
    assert {name for name, factor in factors("composition", base).items() if factor} == {composition}
    others = factors("composition precise", base, Direction.AWAY)
    assert others == {name: {style: 1, composition: 0}.get(name, 0.1) for name in BLOCKS[base]}


@pytest.mark.parametrize("weight_type", WEIGHT_TYPES)
def test_types_need_no_more_than_one_block(weight_type):
    site = Site(("middle", 0, 0), 8, 4, 1)
    assert len(site_strengths(weight_type, None, [site])) == 1
