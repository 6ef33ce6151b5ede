"""Damaged, hostile and absent files: each a named error, quickly, and nothing in them runs."""

import os
import pickle
import random
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError
from ip_adapter_nodes.ip_adapter.files.checkpoint import read_tensors
from safetensors.torch import save_file

TENSORS = {"image_proj.proj.weight": torch.ones(64, 32), "ip_adapter.1.to_k_ip.weight": torch.zeros(16, 8)}


@contextmanager
def refused(path: Path, message: str | None = None):
    """An AdapterFileError within two seconds that names the file."""
    start = time.process_time()  # of this process alone: other work on the machine does not count
    with pytest.raises(AdapterFileError, match=message) as error:
        yield
    assert time.process_time() - start < 2
    assert path.name in str(error.value)


def read_all(path):
    source = read_tensors(path)
    with source.open() as read:
        return [read(name).sum() for name in source.shapes]


@pytest.fixture
def safetensors_file(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


@pytest.fixture
def pickle_file(tmp_path):
    torch.save({"image_proj": TENSORS}, tmp_path / "a.bin")
    return tmp_path / "a.bin"


def test_safetensors_cut_at_every_boundary(safetensors_file):
    content = safetensors_file.read_bytes()
    header = int.from_bytes(content[:8], "little")
    for length in (
        0,
        1,
        7,
        8,
        9,
        8 + header // 2,
        7 + header,
        8 + header,
        9 + header,
        len(content) // 2,
        len(content) - 1,
    ):
        safetensors_file.write_bytes(content[:length])
        with refused(safetensors_file, "is damaged"):
            read_all(safetensors_file)


def test_safetensors_with_a_lying_header_length(safetensors_file):
    content = safetensors_file.read_bytes()
    header = int.from_bytes(content[:8], "little")
    for lie in (0, 1, header - 1, header + 1, len(content), 100_000_001, 2**40, 2**63 - 1, 2**63, 2**64 - 1):
        safetensors_file.write_bytes(lie.to_bytes(8, "little") + content[8:])
        with refused(safetensors_file, "is damaged"):
            read_all(safetensors_file)


LYING_HEADERS = {
    "larger shape": (b'"shape":[64,32]', b'"shape":[64,33]'),
    "overflowing shape": (b'"shape":[64,32]', b'"shape":[9223372036854775807,9]'),
    "negative shape": (b'"shape":[64,32]', b'"shape":[-64,-32]'),
    "other type": (b'"dtype":"F32"', b'"dtype":"F16"'),
    "unknown type": (b'"dtype":"F32"', b'"dtype":"XYZ"'),
    "overlap": (b'"data_offsets":[0,', b'"data_offsets":[4,'),
    "no JSON": (b"{", b"["),
}


@pytest.mark.parametrize(("old", "new"), LYING_HEADERS.values(), ids=LYING_HEADERS)
def test_safetensors_with_a_lying_header(safetensors_file, old, new):
    content = safetensors_file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    assert old in header
    header = header.replace(old, new)
    safetensors_file.write_bytes(len(header).to_bytes(8, "little") + header + data)
    with refused(safetensors_file, "is damaged"):
        read_all(safetensors_file)


def test_pickle_cut_anywhere(pickle_file):
    content = pickle_file.read_bytes()
    for length in (
        0,
        1,
        2,
        30,
        100,
        len(content) // 4,
        len(content) // 2,
        len(content) - 200,
        len(content) - 22,
        len(content) - 1,
    ):
        pickle_file.write_bytes(content[:length])
        with refused(pickle_file):
            read_all(pickle_file)


@pytest.mark.parametrize("suffix", ["safetensors", "bin", "ckpt"])
def test_random_bytes(tmp_path, suffix):
    numbers = random.Random(suffix)
    path = tmp_path / f"noise.{suffix}"
    for length in [*range(1, 40), *range(100, 4000, 300)]:
        path.write_bytes(numbers.randbytes(length))
        with refused(path):
            read_all(path)


def test_pickle_with_changed_bytes_is_read_or_refused(tmp_path):
    """Whatever stands in a pickle: tensors, or the named error, and never another exception."""
    numbers = random.Random(7)
    path = tmp_path / "changed.bin"
    torch.save({"image_proj": {"w": torch.ones(2)}}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    outcomes = set()
    for _ in range(400):
        changed = bytearray(content)
        for _ in range(numbers.choice((1, 3))):
            changed[numbers.randrange(len(changed))] = numbers.randrange(256)
        path.write_bytes(changed)
        try:
            read_all(path)
            outcomes.add("read")
        except AdapterFileError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


class Payload:
    """Unpickling this makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain pickle"])
def test_code_in_a_pickle_does_not_run(tmp_path, form):
    marker, path = tmp_path / "it ran", tmp_path / "evil.bin"
    content = {"image_proj": TENSORS, "ip_adapter": Payload(marker)}
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(content["ip_adapter"], protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with refused(path, "could run code"):
        read_all(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists(), "the payload is harmless, so this test proves nothing"


def test_pickle_without_tensors(tmp_path):
    path = tmp_path / "empty.bin"
    for content in ({}, {"image_proj": {}}, [], 3, "text"):
        torch.save(content, path)
        with refused(path, "holds no tensors"):
            read_all(path)


def test_pickle_that_contains_itself(tmp_path):
    content = {}
    content["again"] = content
    torch.save(content, tmp_path / "loop.bin")
    with refused(tmp_path / "loop.bin", "is damaged"):
        read_all(tmp_path / "loop.bin")


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_paths_that_are_no_file(tmp_path, suffix):
    missing, folder, loop = (tmp_path / f"{name}.{suffix}" for name in ("missing", "folder", "loop"))
    folder.mkdir()
    loop.symlink_to(loop)
    for path in (missing, folder, loop):
        with refused(path, "There is no file at"):
            read_all(path)


@contextmanager
def unprivileged():
    """Tests may run as root, whom no permission stops."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("file", ["safetensors_file", "pickle_file"])
@pytest.mark.parametrize("forbid", ["file", "folder"])
def test_unreadable(request, file, forbid):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(shutil.copy(request.getfixturevalue(file), folder))
        path.chmod(0o644)
        closed = path if forbid == "file" else path.parent
        closed.chmod(0)
        with refused(path, "cannot be read"), unprivileged():
            read_all(path)
        closed.chmod(0o755)
        with unprivileged():
            assert len(read_all(path)) == 2
