import math

import pytest
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.weights.weight import MAX_WEIGHT, check_weight


@pytest.mark.parametrize("weight", [-MAX_WEIGHT, 0.0, 1.0, MAX_WEIGHT])
def test_the_whole_range_is_allowed(weight):
    check_weight(weight)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 10.001, -10.001])
def test_outside_of_it_is_named(weight):
    with pytest.raises(SettingError, match=r"from -10\.0 to 10\.0"):
        check_weight(weight)
