"""Guiders with three lists of conditionings: only rows of the positive list see the pictures, as in diffusers.

https://github.com/huggingface/diffusers/blob/v0.35.0/src/diffusers/pipelines/stable_diffusion/pipeline_stable_diffusion_instruct_pix2pix.py
puts the embeddings as positive, negative, negative for text and picture, picture alone, and neither.
"""

from typing import Any

import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import CFGGuider, DualCFGGuider
from comfy_extras.nodes_ip2p import InstructPixToPixConditioning
from comfy_extras.nodes_perpneg import PerpNegGuider
from factories import adapter_tensors, make_prompt, relative_error
from host_support import formula
from host_support.autoencoder import CellAutoencoder
from host_support.sampling import noise_of, text
from host_support.small_models import random_model
from host_support.spy import Spy
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict

WEIGHT = 0.7


def _edited(model: Any, first: int, second: int) -> tuple[Any, Any]:
    """Two CONDITIONINGs that see the picture to be edited."""
    pixels = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(5))
    return InstructPixToPixConditioning.execute(
        text(model, first), text(model, second), pixels, CellAutoencoder()
    ).result[:2]


def _instructed(style: str) -> Any:
    def guider(model: Any) -> Any:
        positive, middle = _edited(model, 2, 3)
        return DualCFGGuider.execute(model, positive, middle, text(model, 4), 5.0, 1.5, style).result[0]

    return guider


def _perpendicular(model: Any) -> Any:
    return PerpNegGuider.execute(model, *[text(model, seed) for seed in (2, 3, 4)], 5.0, 0.5).result[0]


def _usual(model: Any) -> Any:
    return CFGGuider.execute(model, *_edited(model, 2, 3), 5.0).result[0]


# Base and guider -> how it is made, and its lists of conditionings.
GUIDERS = {
    "sd15-instruct, dual": (_instructed("regular"), {"positive", "middle", "negative"}),
    "sd15-instruct, dual and nested": (_instructed("nested"), {"positive", "middle", "negative"}),
    "sdxl-instruct, dual": (_instructed("regular"), {"positive", "middle", "negative"}),
    "sd15, perpendicular": (_perpendicular, {"positive", "empty_negative_prompt", "negative"}),
    "sd15-instruct, usual": (_usual, {"positive", "negative"}),
}


@pytest.mark.parametrize("guider", GUIDERS)
def test_only_rows_of_the_positive_list_see_the_pictures(guider):
    model, prompt, spy = random_model(guider.split(",")[0]), make_prompt(), Spy()
    sites = find_sites(model.model.diffusion_model)
    tensors, (make, lists) = adapter_tensors(sites), GUIDERS[guider]
    applied = host.apply(model, Adapter.of(TensorDict("test", tensors)), prompt, host.ApplyOptions(weight=WEIGHT))
    names = _run(make(spy.on(applied)))
    positive, negative = (formula.image_tokens(x, tensors) for x in (prompt.positive.pooled, torch.zeros(1, 1024)))
    seen = set()
    for block, call, out in spy.calls:
        n, site = next((n, site) for n, site in enumerate(sites) if site.block == block)
        for chunk, uuid in enumerate(call.options["uuids"]):
            tokens = positive if names[uuid] == "positive" else negative
            row = chunk * len(out) // len(call.options["uuids"])
            picture = formula.image_row(call.query[row], tokens, torch.ones(4), tensors, n, site.heads)
            text_row = formula.attention(call.query[row], call.key[row], call.value[row], site.heads)
            assert relative_error(out[row], text_row + WEIGHT * picture) < 1e-5, (names[uuid], site.name)
            seen.add((names[uuid], block))
    assert seen == {(name, site.block) for name in lists for site in sites}


def _run(guider: Any) -> dict[Any, str]:
    """One step of the guider; which of its lists each conditioning lies in."""
    noise = noise_of()
    sigmas = comfy.samplers.calculate_sigmas(guider.model_patcher.model.model_sampling, "normal", 1)
    guider.sample(noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas, seed=1)
    return {cond["uuid"]: name for name, conds in guider.original_conds.items() for cond in conds}
