import math

import pytest
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.layer_weights import WEIGHT_TYPES, LayerWeights, site_factors
from ip_adapter_nodes.ip_adapter.sites import Site

SITES = tuple(
    Site(block, 8, 4, 1)
    for block in [("input", 1, 0), ("input", 1, 1), ("output", 10, 0), ("output", 1, 0), ("middle", 0, 0)]
)


def test_linear_is_one_everywhere():
    assert site_factors("linear", None, SITES) == [1.0] * 5


@pytest.mark.parametrize("weight_type", WEIGHT_TYPES)
def test_every_type_gives_one_factor_per_site(weight_type):
    assert len(site_factors(weight_type, None, SITES)) == len(SITES)


def test_a_site_a_block_and_the_rest():
    weights = LayerWeights((("input 1", 0.5), ("input 1 1", 0.25), ("middle 0 0", -2.0)))
    assert site_factors("linear", weights, SITES) == [0.5, 0.25, 1.0, 1.0, -2.0]


def test_block_1_is_not_block_10():
    assert site_factors("linear", LayerWeights((("output 1", 0.0),)), SITES) == [1.0, 1.0, 1.0, 0.0, 1.0]


def test_unknown_site_is_named_with_those_that_exist():
    with pytest.raises(SettingError, match=r"no cross-attention named input 4 0.*output 10"):
        site_factors("linear", LayerWeights((("input 4 0", 1.0),)), SITES)


def test_unknown_weight_type_is_named_with_those_that_exist():
    with pytest.raises(SettingError, match=r"'lineal'.*linear"):
        site_factors("lineal", None, SITES)


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_factor_that_is_no_number_is_named(factor):
    with pytest.raises(SettingError, match="NaN or infinity for middle 0"):
        LayerWeights((("input 1", 1.0), ("middle 0", factor)))
