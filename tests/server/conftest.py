"""One real server for all tests of this folder, with the pack and the demo family linked in."""

import io
import json
import os
import sys
import types
from pathlib import Path

import pytest
import torch
from ip_adapter_nodes.demo import world
from ip_adapter_nodes.demo.judge import load_judge, read_labels, read_objects
from ip_adapter_nodes.demo.outline import intersection_over_union
from ip_adapter_nodes.launcher.client import pictures
from ip_adapter_nodes.launcher.host import Host
from ip_adapter_nodes.launcher.serving import running_server
from ip_adapter_nodes.launcher.workflow import convert, substitute
from PIL import Image

_package = types.ModuleType("server_support")
_package.__path__ = [str(Path(__file__).parent / "support")]
sys.modules["server_support"] = _package


@pytest.fixture(scope="session")
def server(root, tmp_path_factory):
    host = Host(Path(os.environ["IP_ADAPTER_NODES_HOST"]), sys.executable)
    with running_server(host, root, tmp_path_factory.mktemp("runs")) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright
    from server_support.page import BROWSER, FLAGS, TIMEOUT

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS, timeout=TIMEOUT)
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(browser, server):
    """The frontend in a real browser."""
    from server_support.page import SETTINGS, new_context, open_frontend

    server.request("/api/settings", SETTINGS)
    with new_context(browser, server, viewport={"width": 1700, "height": 1000}) as context:
        yield open_frontend(context, server)


@pytest.fixture(scope="session")
def demo_table(root):
    """A function from a workflow's name and a reference picture to what is substituted in it for the demo family."""
    files = json.loads((root / "launcher" / "demo_files.json").read_text("utf-8"))
    workflows = files["workflows"] | files["workflows_with_own_pictures"]

    def table(name, picture="reference.png"):
        return files["everywhere"] | {files["reference_input"]: picture} | workflows[name]

    table.workflows = sorted(workflows)
    return table


@pytest.fixture(scope="session")
def demo_graph(root, server, demo_table):
    """A function from a workflow's name and a reference picture to its API graph on the demo family."""
    info = server.object_info()

    def graph(name, picture="reference.png", **changes):
        workflow = json.loads((root / "workflows" / f"{name}.json").read_text("utf-8"))
        return substitute(convert(workflow, info), demo_table(name, picture) | changes)

    return graph


@pytest.fixture(scope="session")
def draw(server):
    """A function from an API graph to the pictures that it saves, (n, 3, h, w) in [0, 1] in the order of the frames."""

    def run(graph):
        saved = [picture for picture in pictures(server.run(graph)) if picture.kind == "output"]
        return torch.cat([as_picture(server.fetch(one)) for one in saved if one.filename.endswith(".png")])

    return run


@pytest.fixture(scope="session")
def read():
    """A function from pictures to the attributes that the judge reads, one mapping per picture."""
    judge = load_judge()

    def attributes(shown):
        rows = read_labels(judge, shown).tolist()
        named = [[values[label] for values, label in zip(world.ATTRIBUTES.values(), row, strict=True)] for row in rows]
        return [dict(zip(world.ATTRIBUTES, row, strict=True)) for row in named]

    return attributes


@pytest.fixture(scope="session")
def overlap():
    """A function from two pictures to the intersection over union of their objects, where they are."""

    judge = load_judge()

    def places(one, other):
        return intersection_over_union(read_objects(judge, one), read_objects(judge, other)).item()

    return places


@pytest.fixture(scope="session")
def shipped(root):
    """A function from a file name to that picture of demo/pictures, (1, 3, h, w) in [0, 1]."""
    return lambda name: as_picture((root / "demo" / "pictures" / name).read_bytes())


def as_picture(data):
    image = Image.open(io.BytesIO(data)).convert("RGB")
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.reshape(1, image.height, image.width, 3).movedim(-1, 1) / 255
