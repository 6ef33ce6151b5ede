"""Weights of several pictures as text."""

import pytest
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.weights.weight import read_weights


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("1, 0.5, 0.2", (1.0, 0.5, 0.2)),
        ("-1,.5,1e-1", (-1.0, 0.5, 0.1)),
        ("1\n2\n 3", (1.0, 2.0, 3.0)),
        ("", (1.0,) * 3),
        (" \n ", (1.0,) * 3),
    ],
)
def test_weights(text, weights):
    assert read_weights(text, 3, "pictures") == weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1, half, 2", r"line 1, character 4: expected weights of the pictures as \"1, 0.5, 0.2\", got 'half'"),
        ("1, , 2", "line 1, character 4"),
        ("0:1, 1:2, 2:3", "line 1, character 1"),
        ("1, 2,\n11", "line 2, character 1: expected a weight from -10.0 to 10.0, got 11"),
        ("1, nan, 2", "character 4"),
        ("1, 2", "as many weights as pictures: 3, got 2"),
        ("1, 2, 3, 4", "as many weights as pictures: 3, got 4"),
    ],
)
def test_what_are_no_weights(text, message):
    with pytest.raises(SettingError, match=message):
        read_weights(text, 3, "pictures")
