"""Nodes that make one image prompt of several, as the host calls them, and what a model makes of the result."""

import inspect
from dataclasses import replace

import pytest
import torch
from factories import make_adapter, make_prompt, relative_error
from host_support.clip import pictures, tiny_clip_vision
from host_support.sampling import noise_of, sample
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.errors import SettingError, WrongEncoderError
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.nodes.combine import CombineImagePrompts
from ip_adapter_nodes.nodes.encode import EncodeImagePrompt
from ip_adapter_nodes.nodes.noise import NegativeNoise


@pytest.fixture(scope="module")
def clip_vision():
    return tiny_clip_vision(pooled_width=1024)


def encode(clip_vision, image, **choice):
    widgets = {"fit": "crop", "combine": "concat", "weight": 1.0} | choice
    return EncodeImagePrompt.execute(clip_vision, image, **widgets).result[0]


def combine(prompts, how="concat", weights="", **more):
    return CombineImagePrompts.execute(prompts, [how], [weights], **more).result[0]


@pytest.mark.parametrize("how", [how.value for how in Combine])
def test_prompts_of_single_pictures_are_combined_as_their_batch_is(clip_vision, how):
    image = pictures(3, 32, 32)
    batch = encode(clip_vision, image, combine=how, weights="1, 0.5, 0.2").settled()
    alone = [encode(clip_vision, picture[None]) for picture in image]
    given = combine(alone[:1], how, "1, 0.5, 0.2", image_prompt_2=alone[1:2], image_prompt_3=alone[2:])
    assert relative_error(given.positive.pooled, batch.positive.pooled) <= 1e-5
    assert relative_error(given.positive.penultimate, batch.positive.penultimate) <= 1e-5
    assert given.weights == pytest.approx(batch.weights)
    assert given.combine is batch.combine


def test_a_list_of_pictures_of_different_sizes_becomes_one_prompt(clip_vision):
    """The host runs the encode node for each; the combine node takes the list."""
    assert CombineImagePrompts.GET_SCHEMA().is_input_list
    assert not EncodeImagePrompt.GET_SCHEMA().is_input_list
    images = [pictures(1, *size, seed=n) for n, size in enumerate([(32, 32), (40, 90), (100, 33)])]
    prompts = [encode(clip_vision, image, fit="pad") for image in images]
    given = combine(prompts)
    assert len(given.positive) == 3
    assert torch.equal(given.positive.pooled, torch.cat([prompt.positive.pooled for prompt in prompts]))


def test_inputs_are_taken_in_order_and_may_be_lists(clip_vision):
    prompts = [encode(clip_vision, pictures(1, 32, 32, seed=n)) for n in range(4)]
    given = combine(prompts[:2], image_prompt_4=prompts[3:], image_prompt_2=prompts[2:3])
    assert torch.equal(given.positive.pooled, torch.cat([prompt.positive.pooled for prompt in prompts]))


def test_sums_in_a_model(sd15, sd15_sites):
    """Prompts of one picture twice: their average is the picture, and side by side they attend like it."""
    adapter, prompt = make_adapter(sd15_sites), make_prompt()
    once = sample(host.apply(sd15, adapter, prompt, host.ApplyOptions()), steps=1)
    for how in (Combine.AVERAGE, Combine.NORM_AVERAGE, Combine.MAX, Combine.CONCAT):
        twice = combine([prompt], how.value, image_prompt_2=[prompt])
        assert relative_error(sample(host.apply(sd15, adapter, twice, host.ApplyOptions()), steps=1), once) <= 1e-5, how
    assert not combine([prompt], "subtract", image_prompt_2=[prompt]).positive.pooled.any()


def test_one_picture_per_latent_equals_single_runs(sd15, sd15_sites):
    adapter, noise = make_adapter(sd15_sites), noise_of(batch=3)
    prompt = replace(make_prompt(3), weights=(1.0, 0.5, -0.3))
    together = replace(prompt, combine=Combine.ONE_PER_LATENT)
    given = sample(host.apply(sd15, adapter, together, host.ApplyOptions()), noise=noise, steps=1, cfg=1.0)
    for n in range(3):
        model = host.apply(sd15, adapter, prompt.picture(n), host.ApplyOptions())
        assert relative_error(given[n : n + 1], sample(model, noise=noise[n : n + 1], steps=1, cfg=1.0)) <= 1e-6


def test_unusable_prompts(clip_vision):
    prompt = encode(clip_vision, pictures(1, 32, 32))
    other = encode(tiny_clip_vision(pooled_width=768), pictures(1, 32, 32))
    with pytest.raises(WrongEncoderError, match=r"pooled width 1024 .* number 2 has pooled width 768"):
        combine([prompt, other])
    with pytest.raises(SettingError, match="image prompts: 2, got 1"):
        combine([prompt, prompt], weights="1")
    with pytest.raises(SettingError, match="line 1, character 4"):
        combine([prompt, prompt], weights="1, x")


def test_noise_as_a_negative_picture(clip_vision, sd15, sd15_sites):
    before = torch.get_rng_state()
    noise = NegativeNoise.execute("fade", 0.8, 1.0, 3, 64, pictures(1, 40, 60)).result[0]
    assert noise.shape == (1, 40, 60, 3)
    prompt = encode(clip_vision, pictures(1, 32, 32), negative_image=noise)
    assert torch.equal(torch.get_rng_state(), before)
    adapter = make_adapter(sd15_sites)
    plain, noisy = (
        sample(host.apply(sd15, adapter, given, host.ApplyOptions()), steps=1)
        for given in (replace(prompt, negative=None), prompt)
    )
    assert relative_error(noisy, plain) > 1e-3


def test_execute_takes_what_the_schema_offers():
    for node in (NegativeNoise, EncodeImagePrompt, CombineImagePrompts):
        offered = {given.id: given.optional for given in node.GET_SCHEMA().inputs}
        taken = inspect.signature(node.execute).parameters
        named = {name for name, parameter in taken.items() if parameter.kind is not parameter.VAR_KEYWORD}
        assert named <= set(offered)
        assert named == set(offered) or len(named) < len(taken)
        for name in named:
            assert (taken[name].default is not inspect.Parameter.empty) == bool(offered[name])
