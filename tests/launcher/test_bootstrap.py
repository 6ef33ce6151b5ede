import shutil
import subprocess
import sys

import pytest

PROBE = """
import sys
import comfy.cli_args, nodes


def main(arguments):
    print(nodes.OWNER, comfy.cli_args.args, arguments, __name__)
    return 3
"""


@pytest.fixture
def pack(root, odd_folder):
    """A pack with the real bootstrap and a `nodes` package that would shadow the host's."""
    folder = odd_folder / "pack"
    (folder / "nodes").mkdir(parents=True)
    (folder / "nodes" / "__init__.py").write_text("OWNER = 'pack'")
    (folder / "__init__.py").write_text("raise RuntimeError('must not be executed')")
    (folder / "demo").mkdir()
    (folder / "demo" / "probe.py").write_text(PROBE)
    (folder / "launcher").mkdir()
    shutil.copy(root / "launcher" / "bootstrap.py", folder / "launcher")
    return folder


def start(pack, host, monkeypatch, **variables):
    for name in ("IP_ADAPTER_HOST_ARGS", "IP_ADAPTER_HOST_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(pack))  # somebody may have put it there
    command = [sys.executable, str(pack / "launcher" / "bootstrap.py"), str(host), "demo.probe", "stage", "--fast"]
    return subprocess.run(command, cwd=pack, capture_output=True, text=True, encoding="utf-8", check=False)


def test_a_module_runs_inside_the_host(pack, fake_host, monkeypatch):
    result = start(pack, fake_host, monkeypatch)
    assert result.stdout.strip() == "host ['--cpu'] ['stage', '--fast'] ip_adapter_nodes.demo.probe", result.stderr
    assert result.returncode == 3


def test_the_hosts_own_arguments_come_from_the_environment(pack, fake_host, monkeypatch):
    result = start(pack, fake_host, monkeypatch, IP_ADAPTER_HOST_ARGS="--a 'b c'", IP_ADAPTER_HOST_DEVICE="auto")
    assert result.stdout.startswith("host ['--a', 'b c'] ")
