"""Converting: the same tensors under published names, with what was decided written beside them."""

import hashlib
import resource
from contextlib import contextmanager

import pytest
import torch
from census import face_plus, file_of, linear, lora
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError, NotAnAdapterError
from ip_adapter_nodes.ip_adapter.library.conversion import ConversionError, convert
from safetensors import safe_open
from safetensors.torch import load_file, save_file

WIDTHS = (64,) * 16
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def tensors_of(shapes) -> dict[str, torch.Tensor]:
    """Random values whose type differs from tensor to tensor."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator).to(DTYPES[index % 3])
        for index, (name, shape) in enumerate(shapes.items())
    }


FACE = tensors_of(file_of(face_plus(64), WIDTHS, 64) | lora(WIDTHS, 64))
STANDARD = tensors_of(file_of(linear(1024, 64), WIDTHS, 64))


def save_pickle(path, tensors):
    grouped = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in tensors.items():
        group, _, inner = name.partition(".")
        grouped[group][inner] = tensor
    torch.save(grouped, path)


def save_trained(path, tensors):
    renames = (("image_proj.", "image_proj_model."), ("ip_adapter.", "adapter_modules."))
    save_file(
        {next(new + n[len(old) :] for old, new in renames if n.startswith(old)): t for n, t in tensors.items()}, path
    )


@pytest.mark.parametrize("save", [save_pickle, save_trained])
@pytest.mark.parametrize("tensors", [FACE, STANDARD], ids=["FaceID-Plus with LoRA", "standard"])
def test_values_stay_bitwise(tmp_path, save, tensors):
    path, out = tmp_path / "in.bin", tmp_path / "out.safetensors"
    path = path.with_suffix(".bin" if save is save_pickle else ".safetensors")
    save(path, tensors)
    adapter = convert(path, out)
    written = load_file(out)
    assert written.keys() == tensors.keys()
    assert all(written[name].dtype == tensors[name].dtype and written[name].equal(tensors[name]) for name in tensors)
    original = Adapter.load(path)
    assert adapter.spec.projector == original.spec.projector
    with adapter.source.open() as new, original.source.open() as old:
        assert all(new(name).equal(old(name)) for name in original.source.shapes)


def test_metadata_tells_what_no_tensor_does(tmp_path):
    path, out = tmp_path / "some.bin", tmp_path / "renamed plusv2.safetensors"
    save_pickle(path, FACE)
    assert convert(path, out, "faceid-plus").spec.kind == "faceid-plus"
    with safe_open(out, "pt") as file:
        facts = {key.removeprefix("ip_adapter_nodes."): value for key, value in file.metadata().items()}
    assert facts == {
        "format": "1",
        "kind": "faceid-plus",
        "base": "other",
        "decided_by": "the variant chosen on the node",
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert Adapter.load(out).spec.decided_by == "metadata"


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "some.bin"
    save_pickle(path, STANDARD)
    for out in (path, tmp_path / "link"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to("nowhere")
        with pytest.raises(ConversionError, match="left as it is"):
            convert(path, out)
    assert {file.name for file in tmp_path.iterdir()} == {"some.bin", "link"}


def test_a_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "some.bin"
    save_pickle(path, STANDARD)
    with pytest.raises(ConversionError, match="cannot be written"):
        convert(path, tmp_path / "no" / "out.safetensors")


@contextmanager
def small_files():
    """No file may grow beyond 10 kB, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing(tmp_path):
    path = tmp_path / "some.bin"
    save_pickle(path, STANDARD)
    with small_files(), pytest.raises(ConversionError, match="cannot be written"):
        convert(path, tmp_path / "out.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["some.bin"]


@pytest.mark.parametrize(
    ("tensors", "error"),
    [({"lora_unet_x.lora_down.weight": torch.ones(2, 2)}, NotAnAdapterError), ({}, AdapterFileError)],
)
def test_what_is_no_adapter_is_not_converted(tmp_path, tensors, error):
    torch.save(tensors, tmp_path / "some.bin")
    with pytest.raises(error):
        convert(tmp_path / "some.bin", tmp_path / "out.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["some.bin"]
