"""Image prompts on the disk: our own files bit for bit, the incumbent's, and files that are neither."""

import json
from dataclasses import replace

import pytest
import torch
from factories import make_adapter, make_features, make_prompt
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.errors import AdapterError, AdapterFileError, WrongEncoderError
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.ip_adapter.prompts.features import Features
from ip_adapter_nodes.ip_adapter.prompts.negative import Negative
from ip_adapter_nodes.ip_adapter.prompts.preprocess import Fit, Position, Preparation
from ip_adapter_nodes.ip_adapter.prompts.prompt import Origin
from ip_adapter_nodes.ip_adapter.prompts.prompt_file import load_prompt, save_prompt
from safetensors import safe_open
from safetensors.torch import load_file, save_file

SITES = (Site(("input", 1, 0), 32, 48, 4),)
ORIGIN = Origin(336, Preparation(Fit.PAD, Position.TOP, 0.1))
PROMPTS = {
    "plain": make_prompt(),
    "negatives": replace(make_prompt(2, negatives=3), weights=(0.1, -1 / 3)),
    "everything": replace(
        make_prompt(3, negatives=1, combine=Combine.NORM_AVERAGE), negative_kind=Negative.NOISE, origin=ORIGIN
    ),
    "none": replace(make_prompt(), negative_kind=Negative.NONE),
}


def spec_of(kind):
    return make_adapter(SITES, kind).spec


def assert_same(given, expected):
    for name in ("weights", "combine", "negative_kind", "origin"):
        assert getattr(given, name) == getattr(expected, name)
    for name in ("positive", "negative", "zero_picture"):
        one, other = getattr(given, name), getattr(expected, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.equal(one.pooled, other.pooled)
            assert torch.equal(one.penultimate, other.penultimate)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_prompts_come_back_bit_for_bit(tmp_path, prompt):
    path = tmp_path / "new" / "folder" / "prompt.safetensors"
    save_prompt(prompt, path)
    assert_same(load_prompt(path), prompt)


def test_the_header_says_what_is_inside(tmp_path):
    path = tmp_path / "prompt.safetensors"
    save_prompt(PROMPTS["everything"], path)
    with safe_open(path, framework="pt") as file:
        facts, names = file.metadata(), set(file.keys())
    assert (facts["format"], facts["version"]) == ("ip-adapter-nodes image prompt", "1")
    assert "ViT-H" in facts["encoder"]
    assert json.loads(facts["origin"]) == {
        "size": 336,
        "preparation": {"fit": "pad", "position": "top", "sharpening": 0.1},
    }
    sides = ("positive", "negative", "zero_picture")
    assert names == {f"{side}.{stage}" for side in sides for stage in ("pooled", "penultimate")}


def test_a_prompt_outlives_its_file(tmp_path):
    path = tmp_path / "prompt.safetensors"
    save_prompt(make_prompt(), path)
    loaded = load_prompt(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert_same(loaded, make_prompt())


def legacy(tmp_path, content, name="embeds_00001.ipadpt"):
    torch.save(content, tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("kind", ["standard", "plus"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("pictures", [1, 2])
def test_the_incumbents_embeddings(tmp_path, kind, dtype, pictures):
    features = make_features(pictures, 0)
    rows = (features.pooled if kind == "standard" else features.penultimate).to(dtype)
    prompt = load_prompt(legacy(tmp_path, rows))
    spec, other = spec_of(kind), spec_of("plus" if kind == "standard" else "standard")
    assert prompt.weights == (1.0,) * pictures
    assert torch.equal(prompt.positive.at(spec.stage), rows.float())
    with pytest.raises(WrongEncoderError, match=r"holds no \w+ features"):
        prompt.check(other, "some.bin")
    again = tmp_path / "again.safetensors"
    save_prompt(prompt, again)
    assert_same(load_prompt(again), prompt)


def test_the_incumbents_plus_embeddings_lack_the_negative_side(tmp_path):
    """It encodes a black picture when they are applied, so it needs the encoder even then."""
    prompt, spec = load_prompt(legacy(tmp_path, make_features(1, 0).penultimate)), spec_of("plus")
    with pytest.raises(WrongEncoderError, match="output for zeros"):
        prompt.check(spec, "some.bin")
    negative = load_prompt(legacy(tmp_path, make_features(1, 1).penultimate, "negative.ipadpt"))
    whole = replace(prompt, negative=negative.positive)
    whole.check(spec, "some.bin")
    assert torch.equal(whole.inputs(spec).negative[0], make_features(1, 1).penultimate)
    load_prompt(legacy(tmp_path, make_features(1, 0).pooled)).check(spec_of("standard"), "some.bin")


@pytest.mark.parametrize("kind", ["standard", "plus"])
def test_embeddings_from_before_march_2024_hold_both_sides(tmp_path, kind):
    sides = [make_features(3, seed) for seed in (0, 1)]
    rows = [side.pooled if kind == "standard" else side.penultimate for side in sides]
    prompt, spec = load_prompt(legacy(tmp_path, torch.stack(rows))), spec_of(kind)
    prompt.check(spec, "some.bin")
    assert torch.equal(prompt.inputs(spec).positive[0], rows[0])
    assert torch.equal(prompt.inputs(spec).negative[0], rows[1])


@pytest.mark.parametrize("shape", [(), (1024,), (0, 1024), (3, 7, 1024), (3, 2, 257, 1280), (1, 1, 1, 1, 1)], ids=str)
def test_other_embeddings(tmp_path, shape):
    with pytest.raises(AdapterFileError, match=r"Expected embeddings .* in embeds_00001.ipadpt, got \("):
        load_prompt(legacy(tmp_path, torch.ones(shape)))


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


FOREIGN = {
    "two tensors": {"cond": torch.ones(1, 4), "uncond": torch.ones(1, 4)},
    "an adapter": {"image_proj": {"latents": torch.ones(1)}, "ip_adapter": {"1.to_k_ip.weight": torch.ones(1)}},
    "code": [Evil()],
    "no tensors": {"weight": 1.0},
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_files_of_something_else(tmp_path, content, capsys):
    with pytest.raises(AdapterFileError, match=r"embeds_00001.ipadpt") as error:
        load_prompt(legacy(tmp_path, content))
    assert "executed" not in capsys.readouterr().out
    assert any(part in str(error.value) for part in ("Save Image Prompt", "plain tensors", "no tensors"))


@pytest.mark.parametrize("name", ["prompt.safetensors", "prompt.ipadpt"])
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a file of tensors at all")
    with pytest.raises(AdapterFileError, match=name):
        load_prompt(tmp_path / name)


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "prompt.safetensors"
    save_prompt(make_prompt(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AdapterFileError, match=r"prompt.safetensors is damaged"):
        load_prompt(path)


def rewritten(path, tensors=None, **facts):
    """The file of a plain prompt with other tensors, or other metadata; None takes one away."""
    save_prompt(make_prompt(), path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() | facts
    content = load_file(path) | (tensors or {})
    kept = {name: tensor for name, tensor in content.items() if tensor is not None}
    save_file(kept, path, {name: fact for name, fact in metadata.items() if fact is not None})


def test_a_later_version_is_refused(tmp_path):
    rewritten(tmp_path / "prompt.safetensors", version="2")
    with pytest.raises(AdapterFileError, match="version 2 of this format, expected 1"):
        load_prompt(tmp_path / "prompt.safetensors")


BROKEN = {
    "another combine": {"combine": "sum"},
    "no weights": {"weights": None},
    "weights that are no numbers": {"weights": '["a"]'},
    "weights that are no list": {"weights": "1"},
    "weights of others": {"weights": "[1.0, 1.0]"},
    "NaN": {"weights": "[NaN]"},
    "no JSON": {"origin": "{"},
    "another fit": {"origin": '{"size": 1, "preparation": {"fit": "x", "position": "top", "sharpening": 0}}'},
    "noise without features": {"negative": "noise"},
    "no positive": {"tensors": {"positive.pooled": None, "positive.penultimate": None}},
    "half of the positive": {"tensors": {"positive.pooled": None}},
    "no zero picture": {"tensors": {"zero_picture.pooled": None, "zero_picture.penultimate": None}},
    "other dimensions": {"tensors": {"positive.pooled": torch.ones(1, 2, 3)}},
    "other numbers": {"tensors": {"positive.pooled": torch.ones(2, 3)}},
    "no picture": {"tensors": {"positive.pooled": torch.ones(0, 3), "positive.penultimate": torch.ones(0, 3, 3)}},
    "infinite": {"tensors": {"positive.pooled": torch.full((1, 1024), torch.inf)}},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_inside_is_named(tmp_path, change):
    rewritten(tmp_path / "prompt.safetensors", **change)
    with pytest.raises(AdapterError, match=r"prompt.safetensors is damaged.*Save the prompt again"):
        load_prompt(tmp_path / "prompt.safetensors")


def test_the_format_is_our_own(tmp_path):
    rewritten(tmp_path / "prompt.safetensors", format="ip-adapter-nodes faces")
    with pytest.raises(AdapterFileError, match="no image prompt: it holds"):
        load_prompt(tmp_path / "prompt.safetensors")


def test_a_wrong_encoder_is_named_when_it_is_applied(tmp_path):
    prompt = make_prompt()
    other = replace(prompt, positive=Features(torch.ones(1, 768), torch.ones(1, 257, 1024)))
    save_prompt(other, tmp_path / "prompt.safetensors")
    for kind in ("standard", "plus"):
        with pytest.raises(WrongEncoderError, match=r"ViT-H.* but this one was encoded by CLIP ViT-L"):
            load_prompt(tmp_path / "prompt.safetensors").check(spec_of(kind), "some.bin")
