"""Adapter files of every kind for any sites, whose tensors are made as they are read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.models import build_projector
from ip_adapter_nodes.models.face import FaceConfig
from ip_adapter_nodes.models.face_perceiver import FacePerceiverConfig
from ip_adapter_nodes.models.facts import ProjectorConfig
from ip_adapter_nodes.models.linear import LinearConfig
from ip_adapter_nodes.models.mlp import MlpConfig
from ip_adapter_nodes.models.resampler import ResamplerConfig
from torch import Tensor

_CHATGLM_WIDTH = 4096
_NOISE = 0.05 * torch.randn(2**18, generator=torch.Generator().manual_seed(0))


def _resampler(features: int, width: int, inner: int = 64) -> ResamplerConfig:
    return ResamplerConfig(features, 16, width, inner_width=inner, heads=1, depth=1, hidden_width=64)


def _face(width: int, tokens: int = 4) -> FaceConfig:
    return FaceConfig(512, 1024, tokens, width)


# Kind of file -> its projector for a context width; the published networks, with fewer layers inside.
PROJECTORS: dict[str, Callable[[int], ProjectorConfig]] = {
    "standard for ViT-H": lambda width: LinearConfig(1024, 4, width),
    "standard for bigG": lambda width: LinearConfig(1280, 4, width),
    "standard for ViT-L": lambda width: LinearConfig(768, 4, width),
    "plus for ViT-H": lambda width: _resampler(1280, width),
    "plus for ViT-L": lambda width: _resampler(1024, width),
    "full-face": lambda width: MlpConfig(1280, 1280, width),
    "faceid": _face,
    "faceid-portrait": lambda width: _face(width, 16),
    "faceid-portrait-unnorm": lambda width: _resampler(512, width),
    "faceid-plus": lambda width: FacePerceiverConfig(_face(width), _resampler(1280, width, width), True),
    "faceid-plus for Kolors": lambda width: FacePerceiverConfig(
        _face(_CHATGLM_WIDTH, 6), _resampler(1024, _CHATGLM_WIDTH, _CHATGLM_WIDTH), True
    ),
}


@dataclass(frozen=True, eq=False)
class NoiseFile:
    """A source of tensors of these shapes; tensors of one size are equal."""

    name: str
    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def dtypes(self) -> dict[str, str]:
        return dict.fromkeys(self.shapes, "F32")

    @contextmanager
    def open(self) -> Iterator[Callable[[str], Tensor]]:
        yield lambda name: _noise(self.shapes[name])


def _noise(shape: tuple[int, ...]) -> Tensor:
    size = torch.Size(shape).numel()
    return _NOISE.repeat(-(-size // len(_NOISE)))[:size].view(shape)


def adapter_file(kind: str, sites: tuple[Site, ...]) -> Adapter:
    """A file of one of the kinds in PROJECTORS, trained for a model with these sites."""
    with torch.device("meta"):
        projector = build_projector(PROJECTORS[kind](sites[0].context_width))
    shapes = {f"image_proj.{name}": tuple(tensor.shape) for name, tensor in projector.state_dict().items()}
    for n, site in enumerate(sites):
        shapes |= {f"ip_adapter.{2 * n + 1}.to_{x}_ip.weight": (site.width, site.context_width) for x in "kv"}
    return Adapter.of(NoiseFile(kind, shapes))
