"""Every shipped workflow runs on the real server, and its picture shows what the workflow is about."""

import io
import json

import pytest
import torch
from ip_adapter_nodes.demo import world
from ip_adapter_nodes.demo.judge import load_judge, read_labels
from ip_adapter_nodes.launcher.client import PromptFailedError, pictures
from PIL import Image


def as_pictures(data):
    pixels = torch.frombuffer(bytearray(Image.open(io.BytesIO(data)).convert("RGB").tobytes()), dtype=torch.uint8)
    side = Image.open(io.BytesIO(data)).size
    return pixels.reshape(1, side[1], side[0], 3).movedim(-1, 1) / 255


@pytest.fixture(scope="module")
def judge():
    return load_judge()


@pytest.fixture(scope="module")
def make(server, judge):
    """A function from an API graph to the labels of the picture it saves, and the picture's bytes."""

    def run(graph):
        saved = [picture for picture in pictures(server.run(graph)) if picture.kind == "output"]
        assert len(saved) == 1
        data = server.fetch(saved[0])
        return read_labels(judge, as_pictures(data))[0].tolist(), data

    return run


@pytest.fixture(scope="module")
def reference(root, judge):
    return read_labels(judge, as_pictures((root / "demo" / "pictures" / "reference.png").read_bytes()))[0].tolist()


def test_every_workflow_is_in_the_table(root, demo_table):
    assert {file.stem for file in (root / "workflows").glob("*.json")} == set(demo_table["workflows"])


def test_the_first_image_prompt_draws_what_the_reference_shows(make, demo_graph, reference):
    followed, _ = make(demo_graph("01_first_image_prompt"))
    ignored, _ = make(demo_graph("01_first_image_prompt", **{"ApplyIPAdapter.weight": 0.0}))
    assert followed == reference
    assert sum(a == b for a, b in zip(ignored, reference, strict=True)) <= 2


def test_the_text_names_the_shape_and_the_picture_gives_the_colours(make, demo_graph, reference):
    labels, _ = make(demo_graph("02_text_and_image"))
    assert world.SHAPES[labels[0]] == "heart"
    assert labels[3] == reference[3]


def test_weight_zero_is_bitwise_the_graph_without_our_nodes(make, demo_graph):
    with_node = demo_graph("01_first_image_prompt", **{"ApplyIPAdapter.weight": 0.0})
    without = json.loads(json.dumps(with_node))
    (apply,) = (key for key, node in without.items() if node["class_type"] == "ApplyIPAdapter")
    model = without[apply]["inputs"]["model"]
    for node in without.values():
        for name, value in node["inputs"].items():
            if value == [apply, 0]:
                node["inputs"][name] = model
    bare = {key: node for key, node in without.items() if node["class_type"] not in OURS and key != apply}
    bare = {
        key: node
        for key, node in bare.items()
        if node["class_type"] not in ("PreviewImage", "CLIPVisionLoader", "LoadImage")
    }
    assert as_pictures(make(with_node)[1]).equal(as_pictures(make(bare)[1]))


OURS = {"LoadIPAdapter", "EncodeImagePrompt", "ApplyIPAdapter"}


def test_a_real_photograph_runs_as_well(make, demo_graph):
    labels, data = make(demo_graph("01_first_image_prompt", "photograph.jpg"))
    assert len(labels) == 4
    assert as_pictures(data).shape == (1, 3, 128, 128)


def test_the_server_lists_our_workflows_as_templates(server):
    listed = server.get("/workflow_templates")
    assert sorted(listed["ip-adapter-nodes"]) == ["01_first_image_prompt", "02_text_and_image"]


def test_our_error_reaches_the_user_with_its_message(server, demo_graph):
    graph = demo_graph(
        "01_first_image_prompt", **{"ApplyIPAdapter.start_percent": 0.9, "ApplyIPAdapter.end_percent": 0.1}
    )
    with pytest.raises(PromptFailedError, match="0 <= start_percent <= end_percent"):
        server.run(graph)


def test_inputs_outputs_and_tooltips_follow_the_contract(server):
    info = server.object_info()
    expected = {
        "LoadIPAdapter": (["file", "variant"], [], ["IP_ADAPTER"]),
        "EncodeImagePrompt": (
            ["clip_vision", "image", "fit", "combine", "weight"],
            ["negative_image", "mask"],
            ["IMAGE_PROMPT", "IMAGE"],
        ),
        "ApplyIPAdapter": (
            ["model", "ip_adapter", "image_prompt", "weight", "start_percent", "end_percent", "weight_type"],
            ["mask", "layer_weights", "schedule"],
            ["MODEL"],
        ),
    }
    for node, (required, optional, outputs) in expected.items():
        described = info[node]["input"]
        assert list(described["required"]) == required
        assert list(described.get("optional", {})) == optional
        assert info[node]["output"] == outputs
        assert info[node]["description"]
        for options in (described["required"] | described.get("optional", {})).values():
            assert options[1]["tooltip"]
        assert all(info[node]["output_tooltips"])
