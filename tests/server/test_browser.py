"""The shipped workflows in a real browser: opened, changed, run and looked at."""

import json
import os
from pathlib import Path

import pytest
from ip_adapter_nodes.launcher.workflow import convert
from server_support.page import ALERTS, AS_PROMPT, FIT, OPEN, PROBLEMS, RUN, SET_WIDGETS, SHOWN, needs_browser, settle

pytestmark = needs_browser

WORKFLOWS = sorted((Path(__file__).resolve().parents[2] / "workflows").glob("*.json"))


@pytest.fixture(params=WORKFLOWS, ids=lambda file: file.stem)
def workflow(request):
    return request.param.stem, json.loads(request.param.read_text("utf-8"))


def as_values(graph, info):
    """A graph's inputs with numbers as numbers: the browser knows no difference between 1 and 1.0.

    Without those that the server does not know: what the browser adds to show a text in.
    """
    known = {kind: {name for names in node["input"].values() for name in names} for kind, node in info.items()}
    types = {key: node["class_type"] for key, node in graph.items()}
    return {
        key: (kind, {name: value for name, value in graph[key]["inputs"].items() if name in known[kind]})
        for key, kind in types.items()
    }


def test_opens_runs_and_shows_its_picture(page, server, workflow, demo_table, tmp_path):
    name, content = workflow
    assert page.evaluate(OPEN, content) == len(content["nodes"])
    assert page.evaluate(PROBLEMS) == []
    assert page.evaluate(ALERTS) == []
    info = server.object_info()
    assert as_values(page.evaluate(AS_PROMPT), info) == as_values(convert(content, info), info)
    page.evaluate(SET_WIDGETS, demo_table(name))
    page.evaluate(FIT)  # a node that is out of sight does not load its picture
    assert page.evaluate(RUN) == "success"
    page.keyboard.press("Escape")
    page.evaluate(FIT)  # a node shows its picture only where it is in view
    page.wait_for_function(SHOWN)
    settle(page)
    picture = Path(os.environ.get("IP_ADAPTER_NODES_SCREENSHOTS", tmp_path)) / f"{name}.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000
    assert [text for text in page.complaints if "ip-adapter" in text.lower()] == []
