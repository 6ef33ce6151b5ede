"""Training on the real server: the adapter draws in the same graph, and cancelling leaves nothing behind."""

from pathlib import Path

import pytest
import torch
from ip_adapter_nodes.demo import world
from ip_adapter_nodes.launcher.client import PromptFailedError
from PIL import Image
from waiting import wait_until

FAST = {"KSampler.steps": 4}
TRAINING = {
    "kind": "standard",
    "steps": 4,
    "batch": 4,
    "learning_rate": 1e-3,
    "resolution": 64,
    "held_out": 8,
    "seed": 0,
    "name": "served",
}


@pytest.fixture(scope="module")
def data(server):
    """A folder in the server's input folder."""
    folder = server.base_directory / "input" / "to_train_on"
    folder.mkdir()
    scenes = world.sample_scenes(32, torch.Generator().manual_seed(0))
    for number, picture in enumerate(world.render(scenes)):
        Image.fromarray((picture.movedim(0, -1) * 255).round().byte().numpy()).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(world.caption(scenes.labels[number].tolist()), encoding="utf-8")
    return folder.name


@pytest.fixture
def trained_graph(demo_graph, data):
    """The first workflow with an adapter that is trained in place of the one that is loaded."""

    def graph(**changes):
        nodes = demo_graph("01_first_image_prompt", **FAST)
        ids = {node["class_type"]: key for key, node in nodes.items()}
        checkpoint = ids["CheckpointLoaderSimple"]
        wires = {name: [checkpoint, number] for number, name in enumerate(("model", "clip", "vae"))}
        wires |= {"pictures": ["pictures", 0], "clip_vision": [ids["CLIPVisionLoader"], 0]}
        nodes["pictures"] = {"class_type": "TrainingPictures", "inputs": {"folder": data}}
        nodes["train"] = {"class_type": "TrainIPAdapter", "inputs": wires | TRAINING | changes}
        nodes["curve"] = {"class_type": "PreviewImage", "inputs": {"images": ["train", 1]}}
        nodes["report"] = {"class_type": "PreviewAny", "inputs": {"source": ["train", 2]}}
        nodes[ids["ApplyIPAdapter"]]["inputs"]["ip_adapter"] = ["train", 0]
        del nodes[ids["LoadIPAdapter"]]
        return nodes

    return graph


def files(server, folder):
    return sorted(path.name for path in (server.base_directory / folder).glob("*"))


def test_a_workflow_trains_its_adapter_and_draws_with_it(server, trained_graph, draw, demo_graph):
    entry = server.run(trained_graph())
    (report,) = entry["outputs"]["report"]["text"]
    assert "32 pictures used; 0 broken and skipped" in report
    before, after = (float(word) for word in report.splitlines()[-1].replace(",", "").split() if word[0] == "0")
    assert 0 < after != before
    assert Path(report.splitlines()[0].removeprefix("4 steps, saved as ")).is_file()
    listed = server.object_info()["LoadIPAdapter"]["input"]["required"]["file"]
    assert "served_00001_.safetensors" in str(listed)
    again = draw(demo_graph("01_first_image_prompt", **FAST, **{"LoadIPAdapter.file": "served_00001_.safetensors"}))
    assert torch.equal(draw(trained_graph()), again)
    assert not torch.equal(draw(demo_graph("01_first_image_prompt", **FAST)), again)


def test_cancelling_leaves_nothing_and_the_server_goes_on(server, trained_graph, draw, demo_graph):
    expected, adapters = draw(demo_graph("01_first_image_prompt", **FAST)), files(server, "output/ipadapter")
    ticket = server.queue(trained_graph(steps=1_000_000, name="cancelled"))
    temporary = server.base_directory / "temp"
    wait_until(lambda: list(temporary.glob("*/*.safetensors")), lambda: server.running, server.log_tail)
    server.interrupt()
    with pytest.raises(PromptFailedError, match="interrupted"):
        server.wait(ticket)
    assert not [path for path in temporary.iterdir() if path.is_dir()]
    assert files(server, "output/ipadapter") == adapters
    assert torch.equal(draw(demo_graph("01_first_image_prompt", **FAST)), expected)
