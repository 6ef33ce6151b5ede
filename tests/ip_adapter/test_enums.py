"""Names that are no choice."""

import pytest
from ip_adapter_nodes.ip_adapter.enums import NamedEnum
from ip_adapter_nodes.ip_adapter.errors import SettingError


class Side(NamedEnum):
    LEFT = "left"
    RIGHT = "to the right"


def test_a_choice_is_its_name():
    assert Side("to the right") is Side.RIGHT
    assert Side.LEFT == "left"


@pytest.mark.parametrize("given", ["Left", "", None, 3])
def test_what_is_no_choice_is_named_with_the_choices(given):
    with pytest.raises(SettingError, match=f"Expected one of left, to the right, got {given!r}"):
        Side(given)
