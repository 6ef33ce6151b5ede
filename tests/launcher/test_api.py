import json

import pytest
from ip_adapter_nodes.launcher import command_line
from ip_adapter_nodes.launcher.commands import Call, api
from ip_adapter_nodes.launcher.errors import LauncherError

INFO = {"EmptyLatentImage": {"input": {"required": {"width": ["INT", {}], "height": ["INT", {}]}}}}
WORKFLOW = {"nodes": [{"id": 1, "type": "EmptyLatentImage", "widgets_values": [512, 768]}], "links": []}


@pytest.fixture
def workflow(tmp_path):
    file = tmp_path / "13_sdxl.json"
    file.write_text(json.dumps(WORKFLOW), "utf-8")
    return file


def test_a_graph_is_that_of_the_workflow_or_for_the_demonstration(workflow):
    assert api.read_graph(workflow, INFO)["1"]["inputs"] == {"width": 512, "height": 768}
    assert api.read_graph(workflow, INFO, for_demo=True)["1"]["inputs"] == {"width": 128, "height": 128}


def test_the_demonstration_is_for_shipped_workflows_only(workflow):
    with pytest.raises(LauncherError, match="--demo is for the shipped workflows only"):
        api.read_graph(workflow.rename(workflow.with_name("mine.json")), INFO, for_demo=True)


@pytest.mark.parametrize("text", [None, "{"], ids=["missing", "cut off"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, text):
    file = tmp_path / "mine.json"
    if text:
        file.write_text(text)
    with pytest.raises(LauncherError, match=r"Reading the workflow .*mine\.json: "):
        api.read_graph(file, INFO)


def test_several_graphs_need_a_folder(workflow, tmp_path):
    _, options, _ = command_line.parse(["dev", "api", str(workflow), str(workflow)])
    with pytest.raises(LauncherError, match="into which folder, with --output"):
        api.run(Call(tmp_path, options, (), None, None))


def test_a_server_that_does_not_answer_is_named(workflow, tmp_path):
    _, options, _ = command_line.parse(["dev", "api", str(workflow), "--server", "http://127.0.0.1:9/"])
    with pytest.raises(LauncherError, match=r"Is the server at http://127\.0\.0\.1:9 still running"):
        api.run(Call(tmp_path, options, (), None, None))
