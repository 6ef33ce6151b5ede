"""One real server for all tests of this folder, with the pack and the demo family linked in."""

import json
import os
import sys
from pathlib import Path

import pytest
from ip_adapter_nodes.launcher.host import Host
from ip_adapter_nodes.launcher.serving import running_server
from ip_adapter_nodes.launcher.workflow import convert, substitute


@pytest.fixture(scope="session")
def server(root, tmp_path_factory):
    host = Host(Path(os.environ["IP_ADAPTER_NODES_HOST"]), sys.executable)
    with running_server(host, root, tmp_path_factory.mktemp("runs")) as server:
        yield server


@pytest.fixture(scope="session")
def demo_table(root):
    return json.loads((root / "launcher" / "demo_files.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def demo_graph(root, server, demo_table):
    """A function from a workflow's name and a reference picture to its API graph on the demo family."""
    info = server.object_info()

    def graph(name, picture="reference.png", **changes):
        workflow = json.loads((root / "workflows" / f"{name}.json").read_text("utf-8"))
        table = demo_table["everywhere"] | demo_table["workflows"][name] | {demo_table["reference_input"]: picture}
        return substitute(convert(workflow, info), table | changes)

    return graph
