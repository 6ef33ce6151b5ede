from pathlib import Path

import pytest
from ip_adapter_nodes.launcher import folders
from ip_adapter_nodes.launcher.lock import Lock

ABSENT = "demo/weights/demo_ip_adapter.safetensors"


@pytest.fixture
def pack(odd_folder):
    """A pack with the demonstration family, one of its weights missing."""
    root = odd_folder / "my pack"
    for name in ("__init__.py", "demo/__init__.py", *folders.DEMO_WEIGHTS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / ABSENT).unlink()
    (root / folders.PICTURES).mkdir()
    (root / folders.PICTURES / "to train on").mkdir()
    for name in ("reference.png", "PHOTO.JPG", "LICENCE.txt", "to train on/0.png", "to train on/metadata.jsonl"):
        (root / folders.PICTURES / name).write_bytes(b"pixels")
    return root


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_pack_and_its_weights_are_linked_in(pack, odd_folder):
    before = files(pack)
    with folders.base_directory(pack, odd_folder / "runs") as base:
        assert (base / "custom_nodes/ip-adapter-nodes/__init__.py").read_text() == "__init__.py"
        assert (base / "custom_nodes/ip-adapter-demo/__init__.py").read_text() == "demo/__init__.py"
        checkpoint = base / "models/checkpoints/demo_checkpoint.safetensors"
        assert checkpoint.read_text() == "demo/weights/demo_checkpoint.safetensors"
        assert len(list((base / "models/controlnet").iterdir())) == 2
        assert (base / "models/clip_vision/demo_clip_vision.safetensors").is_file()
        adapters = {path.name for path in (base / "models/ipadapter").iterdir()}
        assert adapters == {"demo_faceid.safetensors", "demo_ip_adapter_plus.safetensors"}
        assert (base / "models/insightface/models/demo/demo_detector.onnx").is_file()
        expected = {"PHOTO.JPG", "reference.png", "to train on/0.png", "to train on/metadata.jsonl"}
        assert {Path(file).as_posix() for file in files(base / "input")} == expected
        assert all((base / name).is_dir() for name in ("output", "temp", "user"))
    assert not base.exists()
    assert files(pack) == before, "removing the links must not remove what they point at"


def test_missing_weights_are_listed(pack):
    assert folders.missing_weights(pack) == [ABSENT]


def test_without_symbolic_links_folders_and_files_are_copied(pack, odd_folder, monkeypatch):
    def refuse(*_, **__):
        raise OSError("not allowed")

    monkeypatch.setattr(folders.Path, "symlink_to", refuse)
    with folders.base_directory(pack, odd_folder / "runs") as base:
        assert (base / "custom_nodes/ip-adapter-demo/__init__.py").read_text() == "demo/__init__.py"
        assert (base / "models/checkpoints/demo_checkpoint.safetensors").is_file()
    assert not base.exists()


def test_parallel_runs_do_not_share_and_do_not_remove_each_other(pack, odd_folder):
    runs = odd_folder / "runs"
    with folders.base_directory(pack, runs) as first, folders.base_directory(pack, runs) as second:
        assert first != second
        assert (first / "input").is_dir()


def test_what_a_crashed_run_left_is_removed(pack, odd_folder):
    runs = odd_folder / "runs"
    abandoned, alive = runs / "run-abandoned", runs / "run-alive"
    for folder in (abandoned, alive):
        (folder / "custom_nodes").mkdir(parents=True)
        folders.fill(folder, pack)
    lock = Lock(alive / folders.IN_USE)
    lock.acquire()
    with folders.base_directory(pack, runs):
        assert not abandoned.exists()
        assert alive.exists()
    lock.release()
    assert (pack / "demo/__init__.py").is_file()
