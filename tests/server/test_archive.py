"""The archive as the registry packs it, unpacked into a clean host under another name and in an odd path."""

import os
import re
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
from ip_adapter_nodes.launcher.folders import EMPTY_FOLDERS
from ip_adapter_nodes.launcher.host import Host
from ip_adapter_nodes.launcher.server import Server

NAME = "Renamed_pack-2"  # the host serves no files of a pack whose own name has spaces or letters beyond ASCII
HOST = Path(os.environ.get("IP_ADAPTER_NODES_HOST", "."))


def patterns(file):
    return [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]


def matches(path, pattern):
    """As git reads plain patterns: a name at any depth or a path from the root; a folder if it ends in /."""
    name, text = pattern.strip("/"), path.as_posix()
    if "/" in pattern.rstrip("/"):
        return fnmatch(text, name) or text.startswith(f"{name}/")
    return any(fnmatch(part, name) for part in (path.parent.parts if pattern.endswith("/") else path.parts))


@pytest.fixture(scope="module")
def packed(root):
    """What comfy-cli packs: the files of the repository less those that .comfyignore names."""
    ignored = [*patterns(root / ".gitignore"), *patterns(root / ".comfyignore"), ".git/"]
    assert not [pattern for pattern in ignored if pattern.startswith("!") or "**" in pattern]
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if not any(matches(path, pattern) for pattern in ignored))


@pytest.fixture(scope="module")
def archive(root, packed, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "node.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in packed:
            file.write(root / name, name)
    return path


@pytest.fixture(scope="module")
def installed(archive, tmp_path_factory):
    """The pack's folder below a clean base directory."""
    base = tmp_path_factory.mktemp("Größe und 模型") / "unpacked"  # a word of no other server's command line
    for name in EMPTY_FOLDERS:
        (base / name).mkdir(parents=True)
    with zipfile.ZipFile(archive) as file:
        file.extractall(base / "custom_nodes" / NAME)
    return base / "custom_nodes" / NAME


@pytest.fixture(scope="module")
def running(installed):
    host = Host(HOST, sys.executable)
    with Server(host.python, host.path, installed.parent.parent, host.arguments()) as server:
        yield server


def test_the_archive_holds_what_runs_and_nothing_else(packed, archive):
    wanted = {"__init__.py", "nodes", "ip_adapter", "models", "workflows", "locales", "web"}
    assert {Path(name).parts[0] for name in packed} >= wanted
    assert {Path(name).parts[0] for name in packed} & {"tests", "demo", "benchmarks", ".ci"} == set()
    assert archive.stat().st_size < 3_000_000


def test_nothing_in_it_installs_packages(installed):
    calls = re.compile(r"""["']pip["']|apt-get""")
    assert [path.name for path in installed.rglob("*.py") if calls.search(path.read_text("utf-8"))] == []


def test_the_host_registers_every_node_and_complains_of_nothing(root, running):
    written = {
        name for file in (root / "nodes").glob("*.py") for name in re.findall(r'node_id="(\w+)"', file.read_text())
    }
    info = running.object_info()
    registered = {name for name, node in info.items() if node["python_module"] == f"custom_nodes.{NAME}"}
    assert registered == written
    # A traceback through our files, and a failed import, would name the folder. The host's own complaints do not count.
    lines = running.log.read_text("utf-8").splitlines()
    (of_ours,) = (line for line in lines if NAME in line)
    assert re.search(r"\d seconds: ", of_ours)
    complaint = re.compile(r"(?i)(?:error|warn|fail).*adapter|adapter.*(?:error|warn|fail)")
    assert [line for line in lines if complaint.search(line)] == []


def test_its_workflows_thumbnails_and_help_pages_are_offered(root, running):
    names = sorted(file.stem for file in (root / "workflows").glob("*.json"))
    assert sorted(running.get("/workflow_templates")[NAME]) == names
    for name in (names[0], names[-1]):
        assert running.request(f"/api/workflow_templates/{NAME}/{name}.jpg").startswith(b"\xff\xd8")
    assert b"Load IP-Adapter" in running.request(f"/extensions/{NAME}/docs/LoadIPAdapter/en.md")


def test_its_command_line_finds_models_and_names_what_only_a_clone_has(installed, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(HOST))

    def run(*arguments):
        command = [sys.executable, str(installed / "run.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)

    listed = run("models", "get", "--list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "ip-adapter-plus_sd15" in listed.stdout
    for command in ("test", "demo", "bench"):
        refused = run(command)
        assert refused.returncode == 1
        assert "Only a clone has it: git clone https://" in refused.stderr
    monkeypatch.delenv("COMFYUI_PATH")
    lost = run("models", "list")
    assert lost.returncode == 1
    assert "lies in none and cannot fetch one" in lost.stderr
