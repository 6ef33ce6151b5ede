"""Faces without photographs, FaceID files with random weights, and the LoRA inside them in diffusers' UNet."""

from typing import Any

import torch
from factories import randomise, site_tensors
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.faces.face import CROP, SQUARE, Crops, Face, Faces, Recogniser
from ip_adapter_nodes.models.face import FaceConfig, FaceProjector
from ip_adapter_nodes.models.face_perceiver import FacePerceiver, FacePerceiverConfig
from ip_adapter_nodes.models.resampler import Resampler, ResamplerConfig
from torch import Tensor, nn

LORA_RANK = 4


def make_faces(count: int, seed: int = 0, recogniser: str = "unknown") -> Faces:
    """Random face vectors of about the length that recognisers give, with crops of noise."""
    generator = torch.Generator().manual_seed(seed)

    def crop(side: int) -> Tensor:
        return torch.randint(0, 256, (3, side, side), generator=generator, dtype=torch.uint8)

    members = tuple(
        Face(number, torch.randn(512, generator=generator), crops=Crops(crop(CROP), crop(SQUARE)))
        for number in range(count)
    )
    return Faces(members, Recogniser(recogniser))


def face_projector(kind: str, width: int) -> nn.Module:
    if kind == "faceid-portrait-unnorm":
        return Resampler(ResamplerConfig(512, 16, width, inner_width=64, heads=1))
    identity = FaceConfig(512, 1024, 16 if kind == "faceid-portrait" else 4, width)
    if kind in ("faceid", "faceid-portrait"):
        return FaceProjector(identity)
    perceiver = ResamplerConfig(1280, 4, width, inner_width=width, heads=width // 64)
    return FacePerceiver(FacePerceiverConfig(identity, perceiver, shortcut=kind == "faceid-plus-v2"))


def face_tensors(kind: str, sites: tuple[Site, ...], *, with_lora: bool) -> dict[str, Tensor]:
    """A FaceID file of a kind for these sites, in the published layout."""
    generator = torch.Generator().manual_seed(1)
    projector = randomise(face_projector(kind, sites[0].context_width), generator).state_dict()
    tensors = {f"image_proj.{name}": tensor for name, tensor in projector.items()}
    return tensors | site_tensors(sites, generator) | (lora_tensors(sites, generator) if with_lora else {})


def lora_tensors(sites: tuple[Site, ...], generator: torch.Generator) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for number, site in enumerate(site for site in sites for _ in range(2)):
        for part in ("q", "k", "v", "out"):
            into = site.context_width if number % 2 and part in "kv" else site.width
            name = f"ip_adapter.{number}.to_{part}_lora"
            tensors[f"{name}.down.weight"] = 0.1 * torch.randn(LORA_RANK, into, generator=generator)
            tensors[f"{name}.up.weight"] = 0.1 * torch.randn(site.width, LORA_RANK, generator=generator)
    return tensors


def fold_lora(unet: Any, tensors: dict[str, Tensor], weight: float) -> None:
    """`W + weight * up @ down` written into diffusers' UNet, by its own numbering of attention processors."""
    paths = [name.removesuffix(".processor") for name in unet.attn_processors]
    for name in [name for name in tensors if name.endswith(".down.weight")]:
        _, number, part, *_ = name.split(".")
        module = unet.get_submodule(paths[int(number)])
        linear = module.to_out[0] if part == "to_out_lora" else getattr(module, part.removesuffix("_lora"))
        linear.weight.data += weight * tensors[name.replace(".down.", ".up.")] @ tensors[name]
