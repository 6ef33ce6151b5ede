"""Keys and values of every site, against products of matrices written out here."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from factories import adapter_tensors, key_values, make_features, relative_error
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.attention.key_value import NEGATIVE, POSITIVE
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.errors import AdapterError, AdapterFileError, WrongEncoderError
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.ip_adapter.prompts.features import Features
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt
from safetensors.torch import save_file

CONTEXT = 48
SITES = (
    Site(("input", 1, 0), 32, CONTEXT, 4),
    Site(("output", 3, 0), 64, CONTEXT, 2),
    Site(("middle", 0, 0), 16, CONTEXT, 1),
)
ONES = (1.0, 1.0, 1.0)


def tensors_of(kind, dtype=torch.float32):
    tensors = adapter_tensors(SITES, kind, seed=3, feature_width={"standard": 24, "plus": 40}[kind])
    generator = torch.Generator().manual_seed(9)
    gain = {"standard": "image_proj.norm", "plus": "image_proj.norm_out"}[kind]
    for name in ("weight", "bias"):
        tensors[f"{gain}.{name}"] = torch.randn(CONTEXT, generator=generator)
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def prompt_of(weights=(1.0,), negatives=0, combine=Combine.CONCAT):
    def features(count, seed):
        return make_features(count, seed, pooled=24, hidden=40)

    return ImagePrompt(
        features(len(weights), 1), features(negatives, 2) if negatives else None, features(1, 3), weights, combine
    )


def tokens_of(tensors, pooled):
    """The standard projector by hand: (pictures, 4, context)."""
    rows = pooled.double() @ tensors["image_proj.proj.weight"].double().T + tensors["image_proj.proj.bias"].double()
    rows = rows.reshape(-1, 4, CONTEXT)
    rows = (rows - rows.mean(-1, keepdim=True)) / (rows.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return rows * tensors["image_proj.norm.weight"].double() + tensors["image_proj.norm.bias"].double()


def keys_and_values(tensors, tokens, number):
    key, value = (tokens @ tensors[f"ip_adapter.{number}.to_{x}_ip.weight"].double().T for x in "kv")
    return key, value


def merged(heads):
    """(heads, tokens, head_width) as the (tokens, width) it was made of."""
    return heads.transpose(0, 1).flatten(1).double()


def compute(tensors, prompt, factors=ONES, sites=SITES):
    return list(key_values(Adapter.of(TensorDict("some.bin", tensors)), prompt, sites, factors))


@pytest.mark.parametrize("weights", [(1.0,), (0.5,), (1.0, 0.25, -2.0)])
def test_positive_side_is_the_product_with_each_pictures_weight(weights):
    tensors, prompt = tensors_of("standard"), prompt_of(weights)
    tokens = tokens_of(tensors, prompt.positive.pooled)
    for item, site, number in zip(compute(tensors, prompt), SITES, (1, 3, 5), strict=True):
        key, value = keys_and_values(tensors, tokens, number)
        value = value * torch.tensor(weights)[:, None, None]
        assert item.site is site
        assert item.key.shape == (2, site.heads, 4 * len(weights), site.width // site.heads)
        assert relative_error(merged(item.key[POSITIVE]), key.flatten(0, 1)) < 1e-5
        assert relative_error(merged(item.value[POSITIVE]), value.flatten(0, 1)) < 1e-5


def test_negative_side_is_the_zero_embedding_with_the_mean_weight():
    tensors = tensors_of("standard")
    tokens = tokens_of(tensors, torch.zeros(1, 24))
    for item, number in zip(compute(tensors, prompt_of((1.0, 0.5))), (1, 3, 5), strict=True):
        key, value = keys_and_values(tensors, tokens, number)
        assert relative_error(merged(item.key[NEGATIVE]), key[0].repeat(2, 1)) < 1e-5
        assert relative_error(merged(item.value[NEGATIVE]), 0.75 * value[0].repeat(2, 1)) < 1e-5


def attended(key, value, query):
    return (query @ key.T * key.shape[-1] ** -0.5).softmax(-1) @ value


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (2, 3), (3, 2), (4, 2)])
def test_sides_of_different_length_attend_as_if_not_repeated(positives, negatives, generator):
    """Both sides stand in one tensor, so each is repeated to the common multiple; attention must not notice."""
    tensors, prompt = tensors_of("standard"), prompt_of((1.0,) * positives, negatives)
    item = compute(tensors, prompt)[2]
    query = torch.randn(7, 16, generator=generator).double()
    for side, features in ((POSITIVE, prompt.positive), (NEGATIVE, prompt.negative)):
        key, value = (x.flatten(0, 1) for x in keys_and_values(tensors, tokens_of(tensors, features.pooled), 5))
        expected = attended(key, value, query)
        assert relative_error(attended(merged(item.key[side]), merged(item.value[side]), query), expected) < 1e-5


def test_average_projects_the_mean_of_the_features():
    tensors, prompt = tensors_of("standard"), prompt_of((3.0, 1.0), 2, Combine.AVERAGE)
    mean = (3 * prompt.positive.pooled[:1] + prompt.positive.pooled[1:]) / 4
    negative_mean = prompt.negative.pooled.mean(0, keepdim=True)
    key, value = keys_and_values(tensors, tokens_of(tensors, mean), 1)
    negative_key, _ = keys_and_values(tensors, tokens_of(tensors, negative_mean), 1)
    item = compute(tensors, prompt)[0]
    assert relative_error(merged(item.key[POSITIVE]), key[0]) < 1e-5
    assert relative_error(merged(item.value[POSITIVE]), 2 * value[0]) < 1e-5
    assert relative_error(merged(item.key[NEGATIVE]), negative_key[0]) < 1e-5


def test_factors_of_the_sites_act_on_values_and_zero_skips_the_site():
    tensors, prompt = tensors_of("standard"), prompt_of()
    plain = compute(tensors, prompt)
    first, last = compute(tensors, prompt, (0.5, 0.0, -2.0))
    assert (first.site, last.site) == (SITES[0], SITES[2])
    assert torch.equal(first.key, plain[0].key)
    assert torch.allclose(first.value, 0.5 * plain[0].value)
    assert torch.allclose(last.value, -2 * plain[2].value)


def test_heads_are_consecutive_columns():
    tensors = tensors_of("standard")
    item = compute(tensors, prompt_of())[0]
    alone = compute(tensors, prompt_of(), sites=tuple(replace(site, heads=1) for site in SITES))[0]
    for head in range(4):
        assert torch.equal(item.key[:, head], alone.key[:, 0, :, 8 * head : 8 * head + 8])


@pytest.mark.parametrize("kind", ["standard", "plus"])
def test_negative_features_come_from_the_right_place(kind):
    """Standard sees zeros for an embedding, Plus the encoded zero picture; a negative picture replaces either."""
    tensors, prompt = tensors_of(kind), prompt_of()
    other = Features(prompt.zero_picture.pooled + 1, prompt.zero_picture.penultimate + 1)
    default, changed = (
        compute(tensors, replace(prompt, zero_picture=zero))[0] for zero in (prompt.zero_picture, other)
    )
    assert torch.equal(default.key[NEGATIVE], changed.key[NEGATIVE]) == (kind == "standard")
    own = compute(tensors, replace(prompt, negative=prompt.positive))[0]
    assert torch.equal(own.key[NEGATIVE], own.key[POSITIVE])
    assert torch.equal(own.key[POSITIVE], default.key[POSITIVE])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_stored_precision_is_computed_in_float32(dtype):
    tensors = tensors_of("plus", dtype)
    exact = compute({name: tensor.float() for name, tensor in tensors.items()}, prompt_of())
    for item, expected in zip(compute(tensors, prompt_of()), exact, strict=True):
        assert item.key.dtype is torch.float32
        assert torch.equal(item.key, expected.key)
        assert torch.equal(item.value, expected.value)


def test_both_containers_give_the_same(tmp_path):
    tensors = tensors_of("plus", torch.float16)
    save_file(tensors, tmp_path / "a.safetensors")
    nested = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in tensors.items():
        group, inner = name.split(".", 1)
        nested[group][inner] = tensor
    torch.save(nested, tmp_path / "a.bin")
    adapters = [Adapter.load(tmp_path / name) for name in ("a.safetensors", "a.bin")]
    assert adapters[0].spec == adapters[1].spec
    pairs = zip(*(key_values(adapter, prompt_of(), SITES, ONES) for adapter in adapters), strict=True)
    assert all(torch.equal(a.key, b.key) and torch.equal(a.value, b.value) for a, b in pairs)


def test_cancelling_stops_between_sites():
    adapter = Adapter.of(TensorDict("x", tensors_of("standard")))
    ticks = iter([None, KeyboardInterrupt])

    def tick():
        if error := next(ticks):
            raise error

    computed = key_values(adapter, prompt_of(), SITES, ONES, tick)
    assert next(computed).site is SITES[0]
    with pytest.raises(KeyboardInterrupt):
        next(computed)


def test_wrong_encoder_is_named_beside_the_right_one():
    adapter = Adapter.of(TensorDict("some.bin", adapter_tensors(SITES, "plus", feature_width=1280)))
    prompt = ImagePrompt(make_features(1, 0, pooled=768, hidden=1024), None, make_features(1, 1), (1.0,))
    with pytest.raises(WrongEncoderError) as error:
        prompt.check(adapter.spec, "some.bin")
    for part in (
        "some.bin",
        "clip_vision_h.safetensors",
        "1280",
        "clip-vit-large-patch14-336.bin",
        "1024",
        "CLIP vision loader",
    ):
        assert part in str(error.value)
    ImagePrompt(make_features(1, 0), None, make_features(1, 1), (1.0,)).check(adapter.spec, "some.bin")


def damages(tensors):
    """Every tensor of the projector missing, and with a row or column too many, and one that no projector has."""
    for name in (name for name in tensors if name.startswith("image_proj.")):
        without = {other: tensor for other, tensor in tensors.items() if other != name}
        yield f"{name} missing", without
        for axis in range(tensors[name].ndim):
            longer = torch.cat([tensors[name], tensors[name].narrow(axis, 0, 1)], dim=axis)
            yield f"{name} longer along {axis}", {**without, name: longer}
    yield "one too many", {**tensors, "image_proj.pos_emb.weight": torch.zeros(3, 4)}


def error_of(given):
    """What loading an adapter from a path or tensors and computing with it raises of our own errors, if anything."""
    try:
        adapter = Adapter.load(given) if isinstance(given, Path) else Adapter.of(given)
        prompt_of().check(adapter.spec, adapter.source.name)
        list(key_values(adapter, prompt_of(), SITES, ONES))
    except AdapterError as error:
        return error
    return None


@pytest.mark.parametrize("container", ["memory", "file"])
@pytest.mark.parametrize("kind", ["standard", "plus"])
def test_damaged_projector_is_a_named_error(kind, container, tmp_path):
    path = tmp_path / "broken.safetensors"
    silent = []
    for damage, tensors in damages(tensors_of(kind)):
        if container == "file":
            save_file(tensors, path)
        error = error_of(path if container == "file" else TensorDict(path.name, tensors))
        assert error is None or path.name in str(error), damage
        silent += [] if error else [damage]
    # A file may hold any number of queries: only its latents say how many.
    assert silent == (["image_proj.latents longer along 1"] if kind == "plus" else [])


@pytest.mark.parametrize("kind", ["standard", "plus"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_projector_with_nan_is_a_named_error(kind, bad):
    tensors = tensors_of(kind)
    name = {"standard": "image_proj.proj.weight", "plus": "image_proj.layers.0.0.to_q.weight"}[kind]
    tensors[name][0, 0] = bad
    with pytest.raises(AdapterFileError, match="damaged"):
        compute(tensors, prompt_of())
