"""ControlNet, T2I-Adapter and LoRA of the demo family do what demo/RESULTS.md says, on a few held-out cases."""

import os

import pytest
import torch
from ip_adapter_nodes.demo import comic, world
from ip_adapter_nodes.demo.files import WEIGHTS
from safetensors import safe_open

CASES = 4
WANTED = ("text", "text, ControlNet", "text, T2I-Adapter", "no LoRA", "LoRA")

in_host = pytest.mark.skipif("IP_ADAPTER_NODES_HOST" not in os.environ, reason="needs the host")


@pytest.fixture(scope="module")
def scenes():
    from ip_adapter_nodes.demo.measure import held_out

    return held_out(CASES)


@pytest.fixture(scope="module")
def drawn():
    from ip_adapter_nodes.demo.measure_control import draw

    with torch.inference_mode():
        return draw(CASES, wanted=WANTED)


@in_host
@pytest.mark.parametrize("net", ["ControlNet", "T2I-Adapter"])
def test_the_edges_say_where_the_object_is(drawn, scenes, net):
    from ip_adapter_nodes.demo.judge import load_judge
    from ip_adapter_nodes.demo.measure_control import in_place

    judge = load_judge()
    led, free = (in_place(judge, drawn[name], scenes) for name in (f"text, {net}", "text"))
    perfect = in_place(judge, world.render(scenes), scenes)  # the judge's map is coarse: about 0.94
    assert led.mean() > max(0.82 * perfect.mean(), free.mean() + 0.1)


@in_host
def test_the_lora_draws_the_line(drawn):
    assert comic.blackness(drawn["LoRA"]).mean() > comic.blackness(drawn["no LoRA"]).mean() + 0.08


def test_the_line_lies_around_the_edge_and_nowhere_else():
    scenes = world.sample_scenes(6, torch.Generator().manual_seed(1))
    labels = torch.tensor([[shape, 0, 0, 1] for shape in range(6)])  # red on yellow
    plain, lined = (look.render(scenes.with_labels(labels)) for look in (world, comic))
    inside = world.silhouettes(scenes.with_labels(labels), plain.shape[-1])
    changed = (plain - lined).abs().amax(dim=1) > 0
    assert comic.blackness(plain).max() == 0 < comic.blackness(lined).min()
    assert changed[(inside > 0) & (inside < 1)].all()
    assert not changed[..., :2].any()


def test_the_kinds_of_files_are_the_published_ones():
    with safe_open(WEIGHTS / "demo_controlnet.safetensors", "pt") as content:
        assert {"lora_controlnet", "input_hint_block.0.weight", "middle_block_out.0.weight"} <= set(content.keys())
    with safe_open(WEIGHTS / "demo_t2i_adapter.safetensors", "pt") as content:
        assert content.get_slice("body.0.in_conv.weight").get_shape()[1] == 64
    with safe_open(WEIGHTS / "demo_lora.safetensors", "pt") as content:
        assert all(name.startswith("lora_unet_") for name in content.keys())  # noqa: SIM118 - not a mapping
