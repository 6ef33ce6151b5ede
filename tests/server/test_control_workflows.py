"""The workflows with ControlNet, T2I-Adapter and LoRA: each source gives its part, against the graph without it."""

import pytest
from ip_adapter_nodes.demo.comic import blackness

CONTROL, LOOKS, STYLE = (
    "ControlNetApplyAdvanced.strength",
    "ApplyIPAdapter.weight",
    "LoraLoaderModelOnly.strength_model",
)


@pytest.mark.parametrize("name", ["19_controlnet", "21_t2i_adapter"])
def test_the_edges_give_the_structure_and_the_reference_the_looks(draw, read, overlap, demo_graph, shipped, name):
    made, free, plain = (draw(demo_graph(name, **change)) for change in ({}, {CONTROL: 0.0}, {LOOKS: 0.0}))
    structure, (reference,) = shipped("second.png"), read(shipped("reference.png"))
    assert overlap(made, structure) > max(0.75, overlap(free, structure) + 0.1)
    assert read(made)[0]["shape"] == read(structure)[0]["shape"] != read(free)[0]["shape"]
    assert read(made)[0]["background"] == reference["background"] != read(plain)[0]["background"]


def test_lora_control_and_reference_each_give_their_part(draw, read, overlap, demo_graph, shipped):
    name, structure, (reference,) = "20_controlnet_lora", shipped("second.png"), read(shipped("reference.png"))
    made, unstyled, free = (draw(demo_graph(name, **change)) for change in ({}, {STYLE: 0.0}, {CONTROL: 0.0}))
    assert blackness(made).item() > blackness(unstyled).item() + 0.05
    assert overlap(made, structure) > overlap(free, structure) + 0.1
    assert read(made)[0]["background"] == reference["background"]
