"""Adapter files that are missing, damaged, something else, or for another model: a named error, and nothing patched."""

import pickle

import comfy.model_patcher
import folder_paths
import pytest
import torch
from factories import adapter_tensors, make_adapter, make_prompt
from host_support.clip import pictures, tiny_clip_vision
from host_support.state import digests
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError, NotAnAdapterError, WrongBaseError, WrongEncoderError
from ip_adapter_nodes.ip_adapter.files.checkpoint import EXTENSIONS, TensorDict
from ip_adapter_nodes.ip_adapter.prompts.encoder import EncodeOptions
from ip_adapter_nodes.nodes.apply import ApplyIPAdapter
from ip_adapter_nodes.nodes.load import LoadIPAdapter
from safetensors.torch import save_file
from torch import nn

SETTINGS = {"weight": 1.0, "start_percent": 0.0, "end_percent": 1.0, "weight_type": "linear"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The host's folder of adapters, empty."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "ipadapter", ([str(tmp_path)], set(EXTENSIONS)))
    return tmp_path


def _load(file: str):
    return LoadIPAdapter.execute(file=file, variant="auto").result[0]


def test_a_sound_file_loads_and_applies_through_the_nodes(folder, sd15, sd15_sites):
    save_file(adapter_tensors(sd15_sites), folder / "adapter.safetensors")
    model = ApplyIPAdapter.execute(sd15, _load("adapter.safetensors"), make_prompt(), **SETTINGS).result[0]
    assert model is not sd15


@pytest.mark.parametrize("file", ["nowhere.safetensors", "../outside.safetensors", ""])
def test_a_missing_file(folder, file):
    save_file({"x": torch.zeros(1)}, folder.parent / "outside.safetensors")
    with pytest.raises(AdapterFileError) as error:
        _load(file)
    assert repr(file) in str(error.value)
    assert str(folder) in str(error.value)


class Payload:
    """A pickle that would run code."""

    def __reduce__(self):
        return print, ("this must not run",)


DAMAGED = {
    "empty.safetensors": b"",
    "noise.safetensors": bytes(range(256)) * 20,
    "empty.bin": b"",
    "noise.bin": bytes(range(256)) * 20,
    "text.pt": b"<html>404 not found</html>",
    "code.bin": pickle.dumps(Payload()),
}


@pytest.mark.parametrize("file", DAMAGED)
def test_a_damaged_file(folder, file, capsys):
    (folder / file).write_bytes(DAMAGED[file])
    with pytest.raises(AdapterFileError, match=file):
        _load(file)
    assert "must not run" not in capsys.readouterr().out


def test_a_file_cut_short(folder, sd15_sites):
    whole = folder / "cut.safetensors"
    save_file(adapter_tensors(sd15_sites), whole)
    whole.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(AdapterFileError, match=r"cut\.safetensors"):
        _load(whole.name)


RELATIVES = {
    "something else": ({"layer.weight": torch.zeros(2, 2)}, "layer.weight"),
    "lora": ({"lora_unet_a.lora_down.weight": torch.zeros(2, 2)}, "models/loras"),
    "checkpoint": ({"model.diffusion_model.out.weight": torch.zeros(2, 2)}, "models/checkpoints"),
    "encoder": ({"vision_model.post_layernorm.weight": torch.zeros(2)}, "models/clip_vision"),
}


@pytest.mark.parametrize(("tensors", "named"), RELATIVES.values(), ids=RELATIVES)
def test_a_file_that_is_no_adapter(folder, tensors, named):
    save_file(tensors, folder / "other.safetensors")
    with pytest.raises(NotAnAdapterError) as error:
        _load("other.safetensors")
    assert "other.safetensors" in str(error.value)
    assert named in str(error.value)


def _refused(error_class, model, adapter, prompt=None) -> str:
    """The message of an apply that must fail and leave the model as it was."""
    before = digests(model)
    with pytest.raises(error_class) as error:
        ApplyIPAdapter.execute(model, adapter, prompt or make_prompt(), **SETTINGS)
    assert digests(model) == before
    return str(error.value)


def test_an_adapter_of_another_base(sd15, sdxl, sd15_sites, sdxl_sites):
    for model, sites, given in ((sd15, sdxl_sites, "Stable Diffusion 1.5"), (sdxl, sd15_sites, "SDXL")):
        expected = {"Stable Diffusion 1.5": "SDXL", "SDXL": "Stable Diffusion 1.5"}[given]
        message = _refused(WrongBaseError, model, make_adapter(sites))
        assert message.index(f"trained for {expected}") < message.index(f"model is {given}")


def test_an_adapter_for_other_widths(sd15, sd15_sites):
    widths = [site.width for site in sd15_sites]
    tensors = adapter_tensors(sd15_sites)
    for x in "kv":
        tensors[f"ip_adapter.7.to_{x}_ip.weight"] = torch.zeros(40, 768)
    message = _refused(WrongBaseError, sd15, Adapter.of(TensorDict("narrow", tensors)))
    assert "input 5 0" in message
    assert "width 40" in message
    assert str(widths[3]) in message


def test_a_model_without_a_unet(sd15_sites):
    module = nn.Module()
    module.diffusion_model = nn.Linear(2, 2)
    cpu = torch.device("cpu")
    message = _refused(WrongBaseError, comfy.model_patcher.ModelPatcher(module, cpu, cpu), make_adapter(sd15_sites))
    assert "no UNet" in message
    assert "Stable Diffusion 1.5" in message


@pytest.mark.parametrize(("kind", "expected"), [("standard", "1024"), ("plus", "1280")])
def test_a_prompt_of_another_encoder(sd15, sd15_sites, kind, expected):
    clip_vision = tiny_clip_vision(pooled_width=96, hidden_width=64)
    prompt, _ = host.encode_prompt(clip_vision, host.reference(pictures(1, 32, 32)), None, EncodeOptions())
    message = _refused(WrongEncoderError, sd15, make_adapter(sd15_sites, kind), prompt)
    assert expected in message
    assert {"standard": "96", "plus": "64"}[kind] in message
    assert "ViT-H" in message


def test_tensors_that_are_nan(sd15, sd15_sites):
    for name in ("image_proj.proj.weight", "ip_adapter.31.to_v_ip.weight"):
        tensors = adapter_tensors(sd15_sites)
        tensors[name][0, 0] = torch.nan
        assert "damaged.safetensors" in _refused(
            AdapterFileError, sd15, Adapter.of(TensorDict("damaged.safetensors", tensors))
        )


def test_a_file_that_changed_after_loading(folder, sd15, sd15_sites):
    file = folder / "adapter.safetensors"
    save_file(adapter_tensors(sd15_sites), file)
    adapter = _load(file.name)
    save_file(adapter_tensors(sd15_sites) | {"image_proj.norm.bias": torch.zeros(768, dtype=torch.float16)}, file)
    assert "changed" in _refused(AdapterFileError, sd15, adapter)
    file.unlink()
    assert file.name in _refused(AdapterFileError, sd15, adapter)
