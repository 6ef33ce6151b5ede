import sys

import pytest
from ip_adapter_nodes.launcher import host
from ip_adapter_nodes.launcher.errors import LauncherError


def test_comfyui_path_must_be_a_comfyui(tmp_path):
    with pytest.raises(LauncherError) as error:
        host.find_host(tmp_path, {"COMFYUI_PATH": str(tmp_path / "nowhere")})
    assert "COMFYUI_PATH=" in str(error.value)
    assert "no main.py, nodes.py" in str(error.value)
    assert "or unset it" in str(error.value)


def test_comfyui_path_comes_first(tmp_path, fake_host):
    assert host.find_host(tmp_path, {"COMFYUI_PATH": str(fake_host)}) == fake_host


def test_the_enclosing_comfyui_is_used(fake_host):
    root = fake_host / "custom_nodes" / "ip-adapter-nodes"
    assert host.find_host(root, {}) == fake_host
    assert host.find_host(fake_host / "elsewhere" / "ip-adapter-nodes", {}) is None
    assert host.find_host(fake_host.parent / "custom_nodes" / "ip-adapter-nodes", {}) is None


def test_arguments_follow_what_the_host_offers(fake_host):
    offered = host.Host(fake_host, sys.executable).arguments()
    assert offered == ["--cpu", "--database-url", "sqlite:///:memory:"]
    assert "--cpu" not in host.Host(fake_host, sys.executable, "cuda").arguments()


def test_missing_modules_are_named():
    with pytest.raises(LauncherError, match="it lacks no_such_module, nor_this"):
        host.probe_device(sys.executable, ["json", "no_such_module", "nor_this"])


def test_a_python_that_fails_is_reported(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise RuntimeError('broken torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(LauncherError, match=r"(?s)broken torch.*Repair torch"):
        host.probe_device(sys.executable, ["torch"])
