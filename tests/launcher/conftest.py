"""A fake host, in a folder whose name nobody should choose and somebody has."""

import importlib.util
from pathlib import Path

import pytest


def _fake_host_module():
    specification = importlib.util.spec_from_file_location("fake_host", Path(__file__).with_name("fake_host.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """A folder with spaces, a dot and letters beyond ASCII in its name."""
    folder = tmp_path / "gr\u00f6\u00dfe & \u56fe\u7247 v1.0"
    folder.mkdir()
    return folder


@pytest.fixture
def fake_host(odd_folder: Path) -> Path:
    return _fake_host_module().make_host(odd_folder / "Comfy UI")
