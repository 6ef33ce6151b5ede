"""What `run.py serve` adds to the template browser: every workflow, ready to run on the demonstration family."""

import json

import pytest
from ip_adapter_nodes.launcher.demo_workflows import MARK, PACK, PLACE, write_demo_workflows
from ip_adapter_nodes.launcher.workflow import convert


@pytest.fixture(scope="module")
def offered(root, server):
    """The server's own list of those templates; they are taken away afterwards, other tests count templates."""
    write_demo_workflows(root, server.base_directory, server.object_info())
    yield server.get("/workflow_templates")[PACK]
    for file in (server.base_directory / PLACE).iterdir():
        file.unlink()


def test_every_workflow_is_offered_with_its_thumbnail(root, server, offered, demo_table):
    assert sorted(offered) == [name + MARK for name in demo_table.workflows]
    for name in demo_table.workflows:
        thumbnail = server.request(f"/api/workflow_templates/{PACK}/{name}{MARK}.jpg")
        assert thumbnail == (root / "workflows" / f"{name}.jpg").read_bytes()


def test_each_is_what_the_demonstration_runs(server, offered, demo_graph):
    info = server.object_info()
    for name in offered:
        workflow = server.get(f"/api/workflow_templates/{PACK}/{name}.json")
        assert convert(workflow, info) == demo_graph(name.removesuffix(MARK))
        assert "Ready to run" in json.dumps([n["widgets_values"] for n in workflow["nodes"] if "Note" in n["type"]])
