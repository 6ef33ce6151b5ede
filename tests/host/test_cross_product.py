"""Every base with every kind of adapter and every encoder: it samples, or the apply node says why it cannot."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import pytest
import torch
from host_support.adapter_files import PROJECTORS, adapter_file
from host_support.clip import pictures, tiny_clip_vision
from host_support.faces import make_faces
from host_support.sampling import noise_of, sample
from host_support.small_models import CHANNELS, LAYOUTS, empty_model, published_unet, random_model
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.errors import WrongBaseError, WrongEncoderError, WrongPromptError
from ip_adapter_nodes.ip_adapter.faces.prompt import FaceFeatures, FacePrompt
from ip_adapter_nodes.ip_adapter.prompts.encoder import EncodeOptions
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt
from torch import Tensor

# Widths of the pooled embedding and of the patches, and pixels at 8 to a patch: as many patches as Kolors' encoder has.
ENCODERS = {"ViT-H": (1024, 1280), "bigG": (1280, 1664), "ViT-L": (768, 1024), "ViT-L-336": (768, 1024, 192)}
LARGE = {"ViT-L", "ViT-L-336"}  # alike in width; their difference in patches matters to Kolors alone
# Kind of file -> the encoders with which it runs on any base but Kolors, then on Kolors.
FITTING = {
    "standard for ViT-H": {"ViT-H"},
    "standard for bigG": {"bigG"},
    "standard for ViT-L": LARGE,
    "plus for ViT-H": {"ViT-H"},
    "plus for ViT-L": LARGE,
    "full-face": {"ViT-H"},
    "faceid": set(ENCODERS),
    "faceid-portrait": set(ENCODERS),
    "faceid-portrait-unnorm": set(ENCODERS),
    "faceid-plus": {"ViT-H"},
    "faceid-plus for Kolors": set(),
}
FOR_KOLORS = {"plus for ViT-L": {"ViT-L-336"}, "faceid-plus for Kolors": {"ViT-L-336"}}
SDXL = {"sdxl", "sdxl-inpaint", "sdxl-instruct"}


def _fits(base: str, kind: str, encoder: str) -> bool:
    if base == "kolors":
        return encoder in FOR_KOLORS.get(kind, set())
    return encoder in FITTING[kind] and not (base in SDXL and kind in FOR_KOLORS)


# Every layout of cross-attentions -> the name that messages give it.
NAMES = {
    "sd15": "Stable Diffusion 1.5 (16 ",
    "sd2": "Stable Diffusion 2 (16 ",
    "sdxl": "SDXL (70 ",
    "sdxl-refiner": "SDXL refiner (44 ",
    "ssd-1b": "SSD-1B (34 ",
    "vega": "Segmind Vega (15 ",
    "koala-700m": "KOALA 700M (21 ",
    "koala-1b": "KOALA 1B (30 ",
    "sdxs": "SDXS (6 ",
    "sdxs-09": "a UNet (9 ",
    "kolors": "Kolors (70 ",
}


@dataclass(frozen=True)
class Connected:
    """A model that stands ready, and what it makes of the noise without an adapter."""

    base: str
    model: Any
    sites: tuple[Site, ...]
    bare: Tensor


def _connected(base: str) -> Connected:
    model = random_model(base)
    return Connected(base, model, find_sites(model.model.diffusion_model), _latents(model))


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[str], Connected]]:
    """The model of a base, made anew when another base is asked for."""
    kept = lru_cache(maxsize=1)(_connected)
    yield kept
    kept.cache_clear()


def _latents(model: Any) -> Tensor:
    return sample(model, noise=noise_of(1), steps=1)


@pytest.fixture(scope="module")
def prompts() -> dict[str, ImagePrompt]:
    with torch.inference_mode():
        seen, choice = host.reference(pictures(1, 192, 192)), EncodeOptions()
        encoders = {name: tiny_clip_vision(*sizes) for name, sizes in ENCODERS.items()}
        return {name: host.encode_prompt(encoder, seen, None, choice)[0] for name, encoder in encoders.items()}


def _prompt(kind: str, seen: ImagePrompt) -> ImagePrompt | FacePrompt:
    """What the kind reads, a picture or a face, by way of one encoder."""
    return (
        FacePrompt(make_faces(1), FaceFeatures(seen.positive, seen.zero_picture)) if kind.startswith("faceid") else seen
    )


# Models that differ from one of these in what they see or predict, not in their layout, are tried with one encoder.
CELLS = [(base, encoder) for base in LAYOUTS for encoder in ENCODERS if base in NAMES or encoder == "ViT-H"]


@pytest.mark.parametrize(("base", "encoder"), CELLS)
def test_what_fits_samples_and_what_does_not_is_refused_when_applied(connect, prompts, base, encoder):
    """All kinds that fit are applied to one model, one after the other, so that one run tries them all."""
    connected = connect(base)
    model = connected.model
    for kind in PROJECTORS:
        adapter, prompt = adapter_file(kind, connected.sites), _prompt(kind, prompts[encoder])
        if _fits(connected.base, kind, encoder):
            model = host.apply(model, adapter, prompt, host.ApplyOptions(weight=0.2))
        else:
            with pytest.raises((WrongBaseError, WrongEncoderError)):
                host.apply(model, adapter, prompt, host.ApplyOptions())
    latents = _latents(model)
    assert latents.isfinite().all()
    assert torch.equal(latents, connected.bare) is (model is connected.model)


@cache
def _file_for(base: str) -> Adapter:
    kind = "plus for ViT-L" if base == "kolors" else "standard for ViT-H"
    return adapter_file(kind, find_sites(published_unet(base, CHANNELS)))


@pytest.mark.parametrize("base", NAMES)
def test_a_file_for_another_base_is_refused_and_both_are_named(prompts, base):
    model = empty_model(base)
    for other in NAMES.keys() - {base}:
        prompt = prompts["ViT-L-336" if other == "kolors" else "ViT-H"]
        with pytest.raises(WrongBaseError) as error:
            host.apply(model, _file_for(other), prompt, host.ApplyOptions())
        assert f"was trained for {NAMES[other]}" in str(error.value)
        assert f"the connected model is {NAMES[base]}" in str(error.value)


@pytest.mark.parametrize("kind", PROJECTORS)
def test_a_picture_for_a_face_adapter_and_the_reverse_are_refused(prompts, sd15, sd15_sites, kind):
    other = "standard for ViT-H" if kind.startswith("faceid") else "faceid"
    with pytest.raises(WrongPromptError, match=f"^{kind} is a "):
        host.apply(sd15, adapter_file(kind, sd15_sites), _prompt(other, prompts["ViT-H"]), host.ApplyOptions())
