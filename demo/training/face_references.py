"""Photographs of every identity as the adapter reads them: aligned, recognised, and seen by the image encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from ...ip_adapter.faces.alignment import RECOGNISED, aligned
from ...ip_adapter.faces.face import CROP
from ...ip_adapter.faces.onnx import OnnxFaceAnalyser, open_pack
from ...ip_adapter.faces.pack import Pack
from ...ip_adapter.host.encode import HostEncoder
from ...ip_adapter.prompts.encoder import encode
from ...ip_adapter.prompts.preprocess import Fit, fitted
from .. import face, world
from ..files import FACE_PACK, WEIGHTS
from .shipped import load_image_encoder

EACH, SIZE, SEED = 12, 160, 73
ASTRAY = 0.02  # how far a detector's points are off, as a part of the object's width


@dataclass(frozen=True)
class References:
    """Of every identity EACH photographs, and what stands for none."""

    vectors: Tensor  # (COUNT, EACH, 512), of length 1
    features: Tensor  # (COUNT, EACH, patches, width) float16
    pooled: Tensor  # (COUNT, EACH, width) of the same encoder
    nothing: Tensor  # (1, patches, width), the encoder's view of zeros


def load_references(folder: Path) -> References:
    """The references as the shipped recogniser and image encoder see them, made on first use."""
    file = folder / "face_references.safetensors"
    if not file.exists():
        save_file(_seen(open_pack(Pack(FACE_PACK.name, WEIGHTS / FACE_PACK), "CPU"), load_image_encoder()), file)
    return References(**load_file(file))


@torch.no_grad()
def _seen(analyser: OnnxFaceAnalyser, encoder: HostEncoder) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    columns: dict[str, list[Tensor]] = {"vectors": [], "features": [], "pooled": []}
    for identity in range(face.COUNT):
        small, large = _crops(identity, generator)
        features = encode(encoder, fitted(large, encoder.size, Fit.CROP), lambda done: None)
        columns["vectors"].append(functional.normalize(analyser.embed(small), dim=1))
        columns["features"].append(features.penultimate.half())
        columns["pooled"].append(features.pooled)
    seen = {name: torch.stack(column) for name, column in columns.items()}
    return seen | {"nothing": encoder.encode_zeros().penultimate}


def _crops(identity: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What recogniser and image encoder are shown of an identity's photographs."""
    scenes = face.of_identities(world.sample_scenes(EACH, generator), torch.full((EACH,), identity))
    points = face.points(scenes, SIZE)
    width = (scenes.radius * SIZE)[:, None, None]
    points = points + ASTRAY * width * torch.randn(points.shape, generator=generator)
    shown = list(zip(world.render(scenes, SIZE), points, strict=True))
    small, large = (torch.stack([aligned(*one, size) for one in shown]) for size in (RECOGNISED, CROP))
    return small, large
