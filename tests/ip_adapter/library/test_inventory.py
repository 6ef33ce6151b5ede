"""Listing folders: what is what, whatever lies among it."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from census import FILES, HOSTILE_NAMES, face_plus, file_of
from ip_adapter_nodes.ip_adapter.library.inventory import Status, examine, inventory

FACEID_PLUS = "ip-adapter-faceid-plus_sd15"


def write_sparse(path: Path, shapes, dtype: str = "F16", metadata: dict[str, str] | None = None) -> Path:
    """A safetensors file of any size that takes no room: its header, then a hole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header, end = {"__metadata__": metadata or {}}, 0
    for name, shape in shapes.items():
        start, end = end, end + int(dtype[1:]) // 8 * torch.Size(shape).numel()
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path


class Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_every_published_adapter_under_another_name(tmp_path):
    paths = [
        write_sparse(tmp_path / f"{index}.safetensors", known.shapes) for index, known in enumerate(FILES.values())
    ]
    listed = {item.file: item for item in inventory([tmp_path])}
    for path, (name, known) in zip(paths, FILES.items(), strict=True):
        item = listed[path]
        kind = "faceid-plus-v2" if name == FACEID_PLUS else known.kind  # the stated default where nothing tells
        assert (item.status, item.kind, item.base, item.tokens) == (Status.SUPPORTED, kind, known.base, known.tokens)
        reads_pictures = "faceid" not in kind or "plus" in kind
        assert (item.encoder is not None) is reads_pictures
        assert item.lora == (128 if any("to_q_lora" in key for key in known.shapes) else None)
        assert (item.name, item.reason) == (None, None)
        assert item.decided_by


def test_good_files_are_listed_among_hostile_ones(tmp_path):
    good = [
        write_sparse(tmp_path / "a" / "b" / "good.safetensors", FILES["ip-adapter_sd15"].shapes),
        write_sparse(tmp_path / "UPPER.SAFETENSORS", FILES["ip-adapter-plus_sd15"].shapes),
    ]
    torch.save({"image_proj": {}, "ip_adapter": {}}, tmp_path / "empty.bin")
    (tmp_path / "code.ckpt").write_bytes(pickle.dumps({"image_proj": Malicious(tmp_path / "executed")}))
    (tmp_path / "text.safetensors").write_text("<html>not found</html>")
    (tmp_path / "cut.safetensors").write_bytes(good[0].read_bytes()[:5000])
    (tmp_path / "zero.pt").write_bytes(b"")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "loop.safetensors").symlink_to("loop.safetensors")
    (tmp_path / "dangling.pth").symlink_to("nowhere.pth")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.bin")
    (tmp_path / "notes.txt").write_text("not listed")
    listed = inventory([tmp_path, tmp_path])
    assert [item.file for item in listed if item.status is Status.SUPPORTED] == good[::-1]
    bad = {item.file.name for item in listed if item.status is Status.DAMAGED}
    names = "empty.bin code.ckpt text.safetensors cut.safetensors zero.pt folder.safetensors loop.safetensors"
    assert bad == {*names.split(), "dangling.pth", "pipe.bin"}
    assert all(item.file.name in item.reason for item in listed if item.status is Status.DAMAGED)
    assert not (tmp_path / "executed").exists()


def test_a_relative_says_what_it_is_and_where_it_belongs(tmp_path):
    path = write_sparse(tmp_path / "x.safetensors", {"lora_unet_mid.lora_down.weight": (8, 320)})
    item = examine(path)
    assert (item.status, item.kind, item.tokens) == (Status.RELATIVE, "lora", None)
    assert "models/loras" in item.reason


def test_a_published_file_is_called_by_its_name_and_tells_its_kind(tmp_path, small_catalogue):
    shapes = file_of(face_plus(64), (64,) * 16, 64)
    path = write_sparse(tmp_path / "anything.safetensors", shapes)
    known = {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    small_catalogue({"name": "v1", "kind": "faceid-plus", **known})
    item = examine(path)
    assert (item.name, item.kind) == ("v1", "faceid-plus")
    assert "sha256" in item.decided_by


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name and "\0" not in name and len(name) < 99])
def test_the_name_decides_nothing_that_tensors_tell(tmp_path, name):
    path = write_sparse(tmp_path / f"{name}.safetensors", FILES["ip-adapter-faceid_sdxl"].shapes)
    assert examine(path).kind == "faceid"


def test_a_changed_file_is_looked_at_again(tmp_path):
    path = write_sparse(tmp_path / "x.safetensors", FILES["ip-adapter_sd15"].shapes)
    assert examine(path).kind == "standard"
    write_sparse(path, FILES["ip-adapter-plus_sd15"].shapes)
    assert examine(path).kind == "plus"
    path.unlink()
    assert examine(path).status is Status.DAMAGED


def test_an_unchanged_file_is_not_read_again(tmp_path):
    """Where it was a good file, something unreadable with the same size and time now lies, and nobody notices."""
    path = write_sparse(tmp_path / "x.safetensors", FILES["ip-adapter_sd15"].shapes)
    facts, before = path.stat(), examine(path)
    path.write_bytes(bytes(8))
    os.truncate(path, facts.st_size)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert examine(path) is before
