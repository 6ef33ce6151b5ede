"""Small adapters, prompts and host models with random weights, in the published shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from ip_adapter_nodes.ip_adapter.adapter import Adapter, ComputeTarget, Target
from ip_adapter_nodes.ip_adapter.attention.key_value import KeyValue
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.ip_adapter.prompts.features import Features
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt
from ip_adapter_nodes.ip_adapter.weights.weight_types import Strength
from ip_adapter_nodes.models.linear import LinearConfig, LinearProjector
from ip_adapter_nodes.models.resampler import Resampler, ResamplerConfig
from torch import Tensor

PATCHES = 257


def projector_tensors(kind: str, context_width: int, feature_width: int | None = None) -> dict[str, Tensor]:
    """`image_proj.*` of a standard or Plus adapter, randomly initialised by PyTorch."""
    if kind == "standard":
        module = LinearProjector(LinearConfig(feature_width or 1024, 4, context_width))
    else:
        module = Resampler(ResamplerConfig(feature_width or 1280, 16, context_width, 64, 2, hidden_width=128))
    return {f"image_proj.{name}": tensor.detach() for name, tensor in module.state_dict().items()}


def site_tensors(sites: tuple[Site, ...], generator: torch.Generator, scale: float = 0.05) -> dict[str, Tensor]:
    return {
        f"ip_adapter.{2 * index + 1}.to_{name}_ip.weight": scale
        * torch.randn(site.width, site.context_width, generator=generator)
        for index, site in enumerate(sites)
        for name in "kv"
    }


def adapter_tensors(
    sites: tuple[Site, ...], kind: str = "standard", seed: int = 0, feature_width: int | None = None
) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    context_width = sites[0].context_width
    return projector_tensors(kind, context_width, feature_width) | site_tensors(sites, generator)


def make_adapter(sites: tuple[Site, ...], kind: str = "standard", seed: int = 0) -> Adapter:
    return Adapter.of(TensorDict(f"{kind}.test", adapter_tensors(sites, kind, seed)))


def key_values(
    adapter: Adapter,
    prompt: ImagePrompt,
    sites: Sequence[Site],
    factors: Sequence[float],
    tick: Callable[[], None] = lambda: None,
) -> Iterator[KeyValue]:
    """Keys and values on the CPU for sites in published order."""
    strengths = map(Strength, factors)
    targets = [Target(*target) for target in zip(sites, adapter.spec.site_indices, strengths, strict=True)]
    return adapter.key_values(prompt.inputs(adapter.spec), targets, ComputeTarget(torch.device("cpu")), tick)


def make_features(pictures: int, seed: int, pooled: int = 1024, hidden: int = 1280) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(
        torch.randn(pictures, pooled, generator=generator), torch.randn(pictures, PATCHES, hidden, generator=generator)
    )


def make_prompt(pictures: int = 1, negatives: int = 0, combine: Combine = Combine.CONCAT, seed: int = 5) -> ImagePrompt:
    return ImagePrompt(
        positive=make_features(pictures, seed),
        negative=make_features(negatives, seed + 1) if negatives else None,
        zero_picture=make_features(1, seed + 2),
        weights=(1.0,) * pictures,
        combine=combine,
    )


def randomise(module: torch.nn.Module, generator: torch.Generator) -> torch.nn.Module:
    """The module with every parameter drawn anew, so that no norm is the identity and no bias zero."""
    for name, parameter in module.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        is_gain = "norm" in name and name.endswith("weight")
        scale = 0.1 if parameter.ndim == 1 else parameter.shape[-1] ** -0.5
        parameter.data = is_gain + scale * values
    return module


def relative_error(given: Tensor, expected: Tensor) -> float:
    return float((given - expected).norm() / expected.norm())
