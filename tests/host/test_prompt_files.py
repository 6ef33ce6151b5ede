"""Saving and loading image prompts in the host's folders, and applying them without an encoder."""

from pathlib import Path

import folder_paths
import pytest
import torch
from factories import adapter_tensors, make_adapter, make_features, make_prompt
from host_support.clip import pictures, tiny_clip_vision
from host_support.sampling import sample
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError, WrongEncoderError
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.host.encode import HostEncoder
from ip_adapter_nodes.nodes.encode import EncodeImagePrompt
from ip_adapter_nodes.nodes.prompt_file import LoadImagePrompt, SaveImagePrompt


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A host whose input and output lie below a temporary folder."""
    for name in ("input", "output"):
        (tmp_path / name / "image_prompts").mkdir(parents=True)
        monkeypatch.setattr(folder_paths, f"{name}_directory", str(tmp_path / name))
    return tmp_path


def listed(name="file"):
    return next(given for given in LoadImagePrompt.GET_SCHEMA().inputs if given.id == name).options


def save(prompt, name="cat"):
    return SaveImagePrompt.execute(prompt, name).result[0]


def load(*files):
    return LoadImagePrompt.execute(*files).result[0]


def test_saved_prompts_are_numbered_and_listed(folders):
    first, second = save(make_prompt(), "animals/cat"), save(make_prompt(2), "animals/cat")
    assert first != second
    assert Path(first).parent == folders / "output" / "image_prompts" / "animals"
    assert listed() == [f"animals/{Path(path).name} [output]" for path in (first, second)]
    assert listed("negative_file") == ["none", *listed()]
    assert [len(load(file).positive) for file in listed()] == [1, 2]


@pytest.mark.parametrize("kind", ["standard", "plus"])
def test_a_loaded_prompt_gives_the_same_latents_without_an_encoder(folders, sd15, sd15_sites, kind, monkeypatch):
    clip_vision = tiny_clip_vision(pooled_width=1024, hidden_width=1280)
    choice = {"fit": "tiles", "combine": "norm average", "weight": 0.6, "weights": "1, 0.5"}
    prompt = EncodeImagePrompt.execute(clip_vision, pictures(2, 32, 80), **choice).result[0]
    adapter = make_adapter(sd15_sites, kind)
    expected = sample(host.apply(sd15, adapter, prompt, host.ApplyOptions()), steps=1)
    path = save(prompt)
    monkeypatch.setattr(HostEncoder, "__init__", lambda *arguments: pytest.fail("an encoder was made"))
    loaded = load(f"{Path(path).name} [output]")
    assert loaded.origin == prompt.origin
    assert torch.equal(sample(host.apply(sd15, adapter, loaded, host.ApplyOptions()), steps=1), expected)


def test_a_prompt_of_another_encoder_is_named_when_it_is_applied(folders, sdxl, sdxl_sites):
    save(make_prompt())
    bigg = Adapter.of(TensorDict("sdxl.bin", adapter_tensors(sdxl_sites, feature_width=1280)))
    with pytest.raises(WrongEncoderError, match=r"ViT-bigG.* this one was encoded by CLIP ViT-H"):
        host.apply(sdxl, bigg, load(listed()[0]), host.ApplyOptions())


def test_files_of_the_incumbent_are_read_from_the_input_folder(folders, sd15, sd15_sites):
    inside, plus = folders / "input" / "image_prompts", make_adapter(sd15_sites, "plus")
    for name, seed in (("cat", 0), ("noise", 1)):
        torch.save(make_features(1, seed).penultimate, inside / f"{name}.ipadpt")
    assert listed() == ["cat.ipadpt [input]", "noise.ipadpt [input]"]
    with pytest.raises(WrongEncoderError, match="negative file in Load Image Prompt"):
        host.apply(sd15, plus, load("cat.ipadpt [input]"), host.ApplyOptions())
    prompt = load("cat.ipadpt [input]", "noise.ipadpt [input]")
    assert torch.equal(prompt.negative.penultimate, make_features(1, 1).penultimate)
    assert sample(host.apply(sd15, plus, prompt, host.ApplyOptions()), steps=1).isfinite().all()


def test_a_negative_file_of_another_encoder(folders):
    torch.save(make_features(1, 0).pooled, folders / "input" / "image_prompts" / "cat.ipadpt")
    torch.save(make_features(1, 0).penultimate, folders / "input" / "image_prompts" / "plus.ipadpt")
    with pytest.raises(WrongEncoderError, match="of one encoder"):
        load("cat.ipadpt [input]", "plus.ipadpt [input]")


def test_what_changes_with_a_file(folders):
    path = folders / "input" / "image_prompts" / "cat.ipadpt"
    torch.save(make_features(1, 0).pooled, path)
    name, before = "cat.ipadpt [input]", LoadImagePrompt.fingerprint_inputs("cat.ipadpt [input]")
    assert before == LoadImagePrompt.fingerprint_inputs(name, "none")
    torch.save(make_features(2, 0).pooled, path)
    assert LoadImagePrompt.fingerprint_inputs(name) != before
    assert LoadImagePrompt.fingerprint_inputs("gone", name) != LoadImagePrompt.fingerprint_inputs("gone")


@pytest.mark.parametrize("name", ["../cat", "a/../../cat", "/cat", "", " ", ".", ".."])
def test_nothing_is_written_outside_of_the_folder(folders, name):
    with pytest.raises(AdapterFileError, match="below"):
        save(make_prompt(), name)
    assert not list(folders.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "name", ["../../secret.ipadpt [output]", "/secret.ipadpt [output]", "secret.ipadpt", "gone.ipadpt [output]"]
)
def test_nothing_is_read_from_outside_of_the_folders(folders, name):
    torch.save(make_features(1, 0).pooled, folders / "secret.ipadpt")
    torch.save(make_features(1, 0).pooled, folders / "output" / "image_prompts" / "cat.ipadpt")
    for files in ([name], ["cat.ipadpt [output]", name]):
        with pytest.raises(AdapterFileError, match="There is no image prompt file") as error:
            load(*files)
        assert str(folders / "output" / "image_prompts") in str(error.value)


def test_a_link_out_of_the_folder_is_not_followed(folders):
    torch.save(make_features(1, 0).pooled, folders / "secret.ipadpt")
    (folders / "output" / "image_prompts" / "link.ipadpt").symlink_to(folders / "secret.ipadpt")
    with pytest.raises(AdapterFileError, match="There is no image prompt file"):
        load("link.ipadpt [output]")
