"""Adapter files of both containers: the same tensors, read lazily."""

import json
import os
from pathlib import Path

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict, read_tensors
from safetensors.torch import save_file

MEGABYTE = 1 << 20


@pytest.fixture
def groups(generator):
    """The two dictionaries of a published file, in several precisions."""
    proj = {
        "proj.weight": torch.randn(8, 4, generator=generator),
        "norm.bias": torch.randn(4, generator=generator).bfloat16(),
    }
    sites = {f"{k}.to_{x}_ip.weight": torch.randn(6, 4, generator=generator).half() for k in (1, 31) for x in "kv"}
    return {"image_proj": proj, "ip_adapter": sites}


def flat(groups):
    return {f"{group}.{name}": tensor for group, tensors in groups.items() for name, tensor in tensors.items()}


def contents(source):
    with source.open() as read:
        return {name: read(name).clone() for name in source.shapes}


def same(given, expected):
    assert given.keys() == expected.keys()
    assert all(
        given[name].dtype == expected[name].dtype and torch.equal(given[name], expected[name]) for name in expected
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])
@pytest.mark.parametrize("suffix", [".bin", ".pt", ".PTH", ".ckpt"])
def test_pickle_and_safetensors_hold_the_same(tmp_path, groups, suffix, zipped):
    pickled, grouped = tmp_path / f"adapter{suffix}", tmp_path / "adapter.safetensors"
    torch.save(groups, pickled, _use_new_zipfile_serialization=zipped)
    save_file(flat(groups), grouped)
    sources = [read_tensors(path) for path in (pickled, grouped)]
    for source in sources:
        assert source.shapes == {name: tuple(tensor.shape) for name, tensor in flat(groups).items()}
        same(contents(source), flat(groups))
    assert [source.name for source in sources] == [f"adapter{suffix}", "adapter.safetensors"]


def test_metadata_is_kept(tmp_path, groups):
    save_file(flat(groups), tmp_path / "a.safetensors", {"recipe": "ours"})
    save_file(flat(groups), tmp_path / "b.safetensors")
    assert read_tensors(tmp_path / "a.safetensors").metadata == {"recipe": "ours"}
    assert read_tensors(tmp_path / "b.safetensors").metadata == {}


def test_what_is_no_tensor_is_left_out_of_a_pickle(tmp_path, groups):
    torch.save({**groups, "step": 7, "notes": ["a"]}, tmp_path / "a.bin")
    same(contents(read_tensors(tmp_path / "a.bin")), flat(groups))


def test_tensors_in_memory_are_a_source(groups):
    same(contents(TensorDict("trained", flat(groups))), flat(groups))


def sparse_file(path: Path, tensors: int, rows: int) -> None:
    """A safetensors file of float16 matrices (rows, 1024) whose data is a hole in the file."""
    size = rows * 1024 * 2
    header = {
        f"t{n}": {"dtype": "F16", "shape": [rows, 1024], "data_offsets": [n * size, (n + 1) * size]}
        for n in range(tensors)
    }
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with path.open("r+b") as file:
        file.truncate(8 + len(text) + tensors * size)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_shapes_of_a_large_file_do_not_read_its_data(tmp_path):
    sparse_file(tmp_path / "large.safetensors", tensors=30, rows=10240)
    assert (tmp_path / "large.safetensors").stat().st_size > 600 * MEGABYTE
    before = resident()
    source = read_tensors(tmp_path / "large.safetensors")
    assert len(source.shapes) == 30
    assert source.shapes["t7"] == (10240, 1024)
    assert resident() - before < 50 * MEGABYTE
    with source.open() as read:
        assert float(read("t7").sum()) == 0.0
    assert resident() - before < 100 * MEGABYTE


def test_missing_tensor_is_a_named_error(tmp_path, groups):
    save_file(flat(groups), tmp_path / "a.safetensors")
    with (
        read_tensors(tmp_path / "a.safetensors").open() as read,
        pytest.raises(AdapterFileError, match=r"a\.safetensors"),
    ):
        read("image_proj.nothing")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("out of memory"), RuntimeError("elsewhere"), OSError("elsewhere")]
)
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_errors_of_the_reader_are_not_blamed_on_the_file(tmp_path, groups, suffix, error):
    path = tmp_path / f"a.{suffix}"
    save_file(flat(groups), path) if suffix == "safetensors" else torch.save(groups, path)
    with pytest.raises(type(error)) as raised, read_tensors(path).open():
        raise error
    assert raised.value is error


@pytest.fixture
def stored(tmp_path, groups):
    save_file(flat(groups), tmp_path / "stored.safetensors")
    return tmp_path / "stored.safetensors"


def test_file_that_changes_between_load_and_use(stored, groups):
    source = read_tensors(stored)
    save_file({name: tensor[:2] for name, tensor in flat(groups).items()}, stored)
    with pytest.raises(AdapterFileError, match="changed on disk"), source.open():
        pass


def test_file_that_vanishes_between_load_and_use(stored):
    source = read_tensors(stored)
    stored.unlink()
    with pytest.raises(AdapterFileError, match="cannot be read"), source.open():
        pass


def test_file_of_the_same_size_is_noticed_too(stored):
    source = read_tensors(stored)
    facts = stored.stat()
    os.utime(stored, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1_000_000))
    with pytest.raises(AdapterFileError, match="changed on disk"), source.open():
        pass
