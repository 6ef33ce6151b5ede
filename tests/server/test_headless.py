"""docs/headless.py as a user runs it: another process, the standard library alone, the real server."""

import io
import json
import socket
import subprocess
import sys

import pytest
from PIL import Image
from waiting import HANG

NAME = "01_first_image_prompt"


def run(*command):
    # Isolated and without site packages: what the script needs beside the standard library would be missing.
    arguments = [sys.executable, "-I", "-S", *map(str, command)]
    return subprocess.run(arguments, capture_output=True, text=True, encoding="utf-8", timeout=HANG, check=False)


@pytest.fixture(scope="module")
def graph_file(root, server, tmp_path_factory):
    """The first workflow, made by the documented command."""
    folder = tmp_path_factory.mktemp("dev", "api")
    workflow = root / "workflows" / f"{NAME}.json"
    made = run(root / "run.py", "dev", "api", workflow, "--server", server.url, "--demo", "--output", folder)
    assert (made.returncode, made.stderr) == (0, "")
    return folder / workflow.name


@pytest.fixture
def headless(root, server, graph_file, tmp_path):
    def start(*arguments, url=server.url):
        return run(
            root / "docs" / "headless.py", graph_file, "--server", url, "--output", tmp_path / "made", *arguments
        )

    return start


def test_the_command_prints_the_graph_that_the_tests_convert(root, server, demo_graph):
    workflow = root / "workflows" / f"{NAME}.json"
    printed = run(root / "run.py", "dev", "api", workflow, "--server", server.url, "--demo")
    assert json.loads(printed.stdout) == demo_graph(NAME)


def test_a_picture_is_uploaded_the_steps_are_shown_and_the_result_is_saved(headless, draw, demo_graph, root, tmp_path):
    reference = tmp_path / "my cät.png"
    reference.write_bytes((root / "demo" / "pictures" / "second.png").read_bytes())
    done = headless("--picture", f"Reference picture.image={reference}", "--set", "KSampler.seed=7")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.replace("\r", "\n").splitlines()
    assert [line.strip() for line in lines if " of " in line][-1] == "20 of 20"
    assert {"KSampler", "New picture"} <= set(lines)
    (path,) = (tmp_path / "made").iterdir()
    assert lines[-1] == str(path)
    expected = draw(demo_graph(NAME, "second.png", **{"KSampler.seed": 7}))
    pixels = Image.open(io.BytesIO(path.read_bytes())).convert("RGB").tobytes()
    assert bytes((expected[0] * 255).round().byte().movedim(0, -1).flatten().tolist()) == pixels


FAULTS = {
    "a node that failed": ("ApplyIPAdapter.start_percent=1", "ApplyIPAdapter.end_percent=0", "0 <= start_percent"),
    "a part that the server leaves out": ("KSampler.sampler_name=none", "KSampler: sampler_name: 'none'"),
    "a graph that the server refuses": ("Reference picture.image=none", "LoadImage: "),
    "an input that is not there": ("KSampler.sede=1", "There are: "),
    "a type that stands for two nodes": ("CLIPTextEncode.text=x", "2 inputs are called 'CLIPTextEncode.text'"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_goes_wrong_is_told_in_a_message(headless, fault):
    *changes, message = fault
    done = headless(*(part for change in changes for part in ("--set", change)))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server_and_no_comfyui_are_told_apart(headless):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        done = headless(url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "refused" in done.stderr
