"""The first workflows run on the real server and draw what their references show; the server lists all of them."""

import io
import json

import pytest
from ip_adapter_nodes.launcher.client import PromptFailedError
from PIL import Image

OURS = {"LoadIPAdapter", "EncodeImagePrompt", "ApplyIPAdapter"}
NOT_IN_A_BARE_GRAPH = OURS | {"PreviewImage", "CLIPVisionLoader", "LoadImage"}


def test_every_workflow_is_in_the_table(root, demo_table):
    assert sorted(file.stem for file in (root / "workflows").glob("*.json")) == demo_table.workflows


def test_the_first_image_prompt_draws_what_the_reference_shows(draw, read, demo_graph, shipped):
    (reference,) = read(shipped("reference.png"))
    (followed,) = read(draw(demo_graph("01_first_image_prompt")))
    (ignored,) = read(draw(demo_graph("01_first_image_prompt", **{"ApplyIPAdapter.weight": 0.0})))
    assert followed == reference
    assert sum(ignored[name] == reference[name] for name in reference) <= 2


def test_the_text_names_the_shape_and_the_picture_gives_the_colours(draw, read, demo_graph, shipped):
    (made,), (reference,) = read(draw(demo_graph("02_text_and_image"))), read(shipped("reference.png"))
    assert made == reference | {"shape": "heart"}


def test_weight_zero_is_bitwise_the_graph_without_our_nodes(draw, demo_graph):
    with_node = demo_graph("01_first_image_prompt", **{"ApplyIPAdapter.weight": 0.0})
    without = json.loads(json.dumps(with_node))
    (apply,) = (key for key, node in without.items() if node["class_type"] == "ApplyIPAdapter")
    model = without[apply]["inputs"]["model"]
    for node in without.values():
        for name, value in node["inputs"].items():
            if value == [apply, 0]:
                node["inputs"][name] = model
    bare = {key: node for key, node in without.items() if node["class_type"] not in NOT_IN_A_BARE_GRAPH}
    assert draw(with_node).equal(draw(bare))


def test_a_real_photograph_runs_as_well(draw, demo_graph):
    assert draw(demo_graph("01_first_image_prompt", "photograph.jpg")).shape == (1, 3, 128, 128)


def test_the_server_lists_our_workflows_as_templates(server, demo_table):
    listed = server.get("/workflow_templates")
    assert sorted(listed["ip-adapter-nodes"]) == demo_table.workflows


def test_every_template_has_a_thumbnail_where_the_browser_asks_for_it(server, demo_table):
    for name in demo_table.workflows:
        data = server.request(f"/api/workflow_templates/ip-adapter-nodes/{name}.jpg")
        assert min(Image.open(io.BytesIO(data)).size) >= 100
        assert len(data) < 20_000


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
        assert list(described.get("optional", {}))[: len(optional)] == optional
        assert info[node]["output"] == outputs
        assert info[node]["description"]
        for options in (described["required"] | described.get("optional", {})).values():
            assert options[1]["tooltip"]
        assert all(info[node]["output_tooltips"])
