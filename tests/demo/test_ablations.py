"""The ablations compare what they say: the sampler is the host's, the simple adapter one attention over all tokens."""

import os

import pytest
import torch

pytestmark = pytest.mark.skipif("IP_ADAPTER_NODES_HOST" not in os.environ, reason="needs the host")

CASE = 3


@pytest.fixture(scope="module")
def base():
    from ip_adapter_nodes.demo.training.shipped import load_base

    return load_base()[0].requires_grad_(False)


@pytest.mark.parametrize(("text", "weight"), [("a star", 0.5), ("", 0.75)])
def test_the_sampler_draws_what_the_nodes_draw(base, text, weight):
    """Text, image prompt, guidance and noise in one call of each: latents after all steps."""
    from comfy import sample as host_sample
    from ip_adapter_nodes.demo import world
    from ip_adapter_nodes.demo.measure import held_out
    from ip_adapter_nodes.demo.studio import CFG, SAMPLER, SCHEDULER, STEPS, Studio, as_image, inference
    from ip_adapter_nodes.demo.training.ablations.sampler import Following, sample
    from ip_adapter_nodes.demo.training.ablations.shipped_adapter import load_adapter
    from ip_adapter_nodes.demo.training.shipped import load_image_encoder
    from ip_adapter_nodes.ip_adapter.prompts.preprocess import Fit, fitted

    reference = as_image(world.render(held_out(CASE + 1).rows(slice(CASE, CASE + 1))))
    with inference():
        studio, encoder = Studio(), load_image_encoder()
        followed = studio.with_picture(reference, weight)
        empty, positive, negative = torch.zeros(1, 4, 16, 16), studio.text(text), studio.text("")
        noise = host_sample.prepare_noise(empty, CASE)
        drawn = host_sample.sample(
            followed, noise, STEPS, CFG, SAMPLER, SCHEDULER, positive, negative, empty, disable_pbar=True, seed=CASE
        )
        seen = encoder.encode(fitted(reference.movedim(-1, 1), encoder.size, Fit.CROP)).pooled
        following = Following(load_adapter(base, weight), seen, torch.zeros_like(seen))
        ours = sample(base, [text], noise, following)
    assert drawn.std() > 0.5
    torch.testing.assert_close(ours, drawn.float(), rtol=0, atol=1e-3)


def test_the_simple_adapter_is_one_attention_over_text_and_picture(base):
    from ip_adapter_nodes.demo.training.ablations.variants import CONCATENATED
    from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites

    torch.manual_seed(0)
    model = CONCATENATED.build(base.unet)
    site = next(site for site in find_sites(base.unet) if site.path.startswith("middle"))
    attention = base.unet.get_submodule(site.path).attn2
    query, text, seen = torch.randn(2, 16, 128), torch.randn(2, 7, 128), torch.randn(2, 128)
    with torch.no_grad():
        replaced = model(seen)[site.block](query, attention.to_k(text), attention.to_v(text))
        tokens = torch.cat([text, model.image_proj(seen)], dim=1)
        key, value = attention.to_k(tokens), attention.to_v(tokens)
        q, k, v = (x.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for x in (query, key, value))
        expected = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    torch.testing.assert_close(replaced, expected.transpose(1, 2).flatten(2), rtol=0, atol=1e-5)


def test_variants_learn_what_their_names_say(base):
    from ip_adapter_nodes.demo.training.ablations.variants import (
        CONCATENATED,
        CONCATENATED_WIDE,
        DECOUPLED,
        VARIANTS,
        size,
    )

    decoupled, simple, wide = (size(v.build(base.unet)) for v in (DECOUPLED, CONCATENATED, CONCATENATED_WIDE))
    assert simple < decoupled / 2
    assert abs(wide - decoupled) < 0.01 * decoupled
    assert len({variant.slug for variant in VARIANTS}) == len(VARIANTS)
    for variant in VARIANTS:
        names = {name.split(".")[0] for name, _ in variant.build(base.unet).named_parameters()}
        assert names <= {"image_proj", "ip_adapter"}


def test_the_verdict_on_curves():
    from ip_adapter_nodes.demo.training.ablations.balance import WEIGHTS, Balance

    cases = torch.arange(100)

    def curve(shares):
        return torch.stack([(cases < 100 * share).float() for share in shares])

    rising = [place / (len(WEIGHTS) - 1) for place in range(len(WEIGHTS))]
    fine = Balance({"text's shape": curve(rising[::-1]), "picture's shape": curve(rising)})
    assert (fine.crossings(), fine.steps_back()) == (1, [])
    dented = [*rising[:4], 0.0, *rising[5:]]
    bad = Balance({"text's shape": curve(rising[::-1]), "picture's shape": curve(dented)})
    assert bad.steps_back() == [f"picture's shape from weight {WEIGHTS[3]} to {WEIGHTS[4]}"]
