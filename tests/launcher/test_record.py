"""What `run.py dev compare` says of two recordings."""

import numpy
import pytest
from ip_adapter_nodes.benchmarks.record import compared, read, write

ARRAYS = {"01/node 9, 0": numpy.zeros((1, 2, 2, 3), numpy.uint8), "latents/a": numpy.ones((1, 4, 2, 2), numpy.float32)}
TEXTS = {"30": {"node 5": {"text": ["0.5"]}}}
INFO = {"LoadIPAdapter": {"input": {"required": {"file": [["a"], {"tooltip": "x"}]}}, "output": ["IP_ADAPTER"]}}
SAME = (ARRAYS, TEXTS, INFO)


def changed(arrays=ARRAYS, texts=TEXTS, info=INFO):
    return list(compared(SAME, (arrays, texts, info)))


def test_what_was_written_is_the_same(tmp_path):
    write(SAME, tmp_path / "new")
    assert list(compared(read(tmp_path / "new"), SAME)) == []


def test_one_pixel_is_told():
    pixels = ARRAYS["01/node 9, 0"].copy()
    pixels[0, 1, 1, 2] = 7
    assert changed(arrays=ARRAYS | {"01/node 9, 0": pixels}) == ["01/node 9, 0: 1 of 12 numbers differ, by up to 7"]


def test_the_sign_of_a_zero_is_told():
    """Bitwise means bitwise."""
    zero = {"a": numpy.zeros(1, numpy.float32)}
    assert list(compared((zero, {}, {}), ({"a": -zero["a"]}, {}, {}))) == ["a: 0 of 1 numbers differ, by up to 0"]


@pytest.mark.parametrize("name", ARRAYS)
def test_what_is_missing_is_told(name):
    assert changed(arrays={key: value for key, value in ARRAYS.items() if key != name}) == [f"{name}: not there after"]


def test_another_shape_is_told():
    other = ARRAYS | {"latents/a": numpy.ones((2, 4, 2, 2), numpy.float32)}
    assert changed(arrays=other) == ["latents/a: shape (1, 4, 2, 2) before, (2, 4, 2, 2) after"]


def test_texts_and_schemas_are_told_by_their_path():
    assert changed(texts={"30": {"node 5": {"text": ["0.6"]}}}) == [
        'texts/30/node 5/text: ["0.5"] before, ["0.6"] after'
    ]
    renamed = {"LoadIPAdapter": INFO["LoadIPAdapter"] | {"output": ["MODEL"]}}
    assert changed(info=renamed) == ['object_info/LoadIPAdapter/output: ["IP_ADAPTER"] before, ["MODEL"] after']
    assert changed(info={}) == ["object_info/LoadIPAdapter: not there after"]
