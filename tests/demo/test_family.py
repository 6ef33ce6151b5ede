"""The shipped demo weights do what demo/RESULTS.md says, on a smaller number of held-out cases.

The bounds lie far above chance and below the figures there, so that a few cases do not fail a sound model.
"""

import os
from dataclasses import replace

import pytest
import torch
from ip_adapter_nodes.demo import looks, world
from ip_adapter_nodes.demo.files import WEIGHTS
from ip_adapter_nodes.demo.judge import load_judge, read_labels

CASES, CURVE_CASES = 24, 12

pytestmark = pytest.mark.skipif("IP_ADAPTER_NODES_HOST" not in os.environ, reason="needs the host")


@pytest.fixture(scope="module")
def judge():
    return load_judge()


@pytest.fixture(autouse=True)
def inference_mode():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def scenes():
    from ip_adapter_nodes.demo.measure import held_out

    return held_out(CASES, styled=True)


def shares(judge, pictures, wanted):
    return (read_labels(judge, pictures) == wanted).float().mean(dim=0).tolist()


def test_the_judge_reads_what_was_drawn(judge, scenes):
    plain = replace(scenes, looks=looks.plain(CASES))
    assert shares(judge, world.render(plain), scenes.labels) == [1.0] * 4
    assert min(shares(judge, world.render(scenes), scenes.labels)) >= 0.9


@pytest.fixture(scope="module")
def drawn(scenes):
    from ip_adapter_nodes.demo.measure import draw

    return draw(scenes, CURVE_CASES, WEIGHTS)


def test_text_alone(drawn, judge, scenes):
    shape, colour, _, background = shares(judge, drawn["text"], scenes.labels)
    assert min(shape, colour, background) >= 0.9


def test_picture_alone(drawn, judge, scenes):
    shape, colour, _, background = shares(judge, drawn["picture"], scenes.labels)
    assert min(shape, colour, background) >= 0.85


@pytest.mark.parametrize("name", ["text", "picture"])
def test_texture(drawn, judge, scenes, name):
    """It is the weakest attribute; a third would be chance."""
    assert shares(judge, drawn[name], scenes.labels)[2] >= 0.6


def test_a_picture_brings_what_no_word_names(drawn, judge, scenes):
    """Pattern, outline, style, side and warmth of the light; by chance 20, 20, 25, 12 and 12 %."""
    from ip_adapter_nodes.demo.measure import agreement

    pattern, outline, style, light, warmth = agreement(judge, drawn["picture"], scenes).looks
    assert min(pattern, outline) >= 50
    assert min(style, light, warmth) >= 35
    assert sum(agreement(judge, drawn["text"], scenes).looks) / 5 <= 35


def test_weight_zero_knows_nothing_of_the_picture(drawn, judge, scenes):
    _, colour, _, background = shares(judge, drawn["empty"], scenes.labels)
    assert max(colour, background) <= 0.5


def test_the_weight_moves_the_balance_from_text_to_picture(drawn, judge, scenes):
    from ip_adapter_nodes.demo.measure import other_shapes

    def share_of(weight, wanted):
        return (read_labels(judge, drawn[f"conflict {weight}"])[:, 0] == wanted).float().mean().item()

    named, own = (shapes[:CURVE_CASES] for shapes in (other_shapes(scenes), scenes.labels[:, 0]))
    assert share_of(0.0, named) > 0.8 > share_of(1.0, named)
    assert share_of(0.0, own) < 0.2 < share_of(1.0, own)


def test_weights_stay_small_and_say_how_they_were_made():
    from safetensors import safe_open

    files = sorted(WEIGHTS.glob("*.safetensors"))
    assert len(files) == 10
    assert sum(file.stat().st_size for file in files) < 24e6
    for file in files:
        with safe_open(file, "pt") as content:
            assert any(key.startswith("recipe.") for key in content.metadata())
