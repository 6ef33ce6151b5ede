"""`run.py models` needs an interpreter, and no ComfyUI's code."""

import subprocess
import sys

import pytest
from ip_adapter_nodes.launcher.commands import in_host
from ip_adapter_nodes.launcher.errors import LauncherError


def start(root, *options):
    command = [sys.executable, *options, str(root / "run.py"), "models", "get", "--list"]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_an_interpreter_without_its_packages_is_named(root, fake_host, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(fake_host))
    result = start(root, "-S")  # without site-packages
    assert result.returncode == 1
    assert "it lacks torch, einops, safetensors" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_users_interpreter_answers_and_standard_output_is_the_answers_alone(root, fake_host, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(fake_host))
    result = start(root)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("name  ")
    assert result.stderr == ""


def test_a_wrong_host_is_refused_as_elsewhere(root, tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(LauncherError, match="this is no ComfyUI folder"):
        in_host.run_models(in_host.Call(root, None, (), None, None))
