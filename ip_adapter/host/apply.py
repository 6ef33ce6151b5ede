"""An adapter and an image prompt into a clone of the host's model."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules import attention as host_attention
from torch import Tensor
from torch.nn import functional

from ..adapter import Adapter, KeyValue, Place, Target
from ..errors import AdapterFileError, WrongBaseError
from ..patching.injection import Application, Options, SiteBranch, turned_away
from ..patching.mask import Region, region_of
from ..patching.pairs import Pairs, by_latent
from ..patching.scaling import Scaling
from ..patching.sites import Site
from ..prompts.projector_inputs import ProjectorInputs, Prompt, Share
from ..trio import checked_sites
from ..weights.crossfade import by_picture
from ..weights.layer_weights import LayerWeights, site_strengths
from ..weights.schedule import WeightSchedule, timing
from ..weights.weight import check_weight
from ..weights.weight_types import Direction
from .progress import Progress
from .wrappers import put

log = logging.getLogger(__name__)
AlsoPatch = Callable[[Any, tuple[Site, ...]], None]


@dataclass(frozen=True, eq=False)
class Settings:
    """What the user chose on an apply node."""

    weight: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    weight_type: str = "linear"
    mask: Tensor | None = None
    layer_weights: LayerWeights | None = None
    schedule: WeightSchedule | None = None
    embeds_scaling: str = Scaling.VALUES

    def __post_init__(self) -> None:
        check_weight(self.weight)


def apply(
    model: Any, adapter: Adapter, prompt: Prompt, settings: Settings, also: AlsoPatch = lambda clone, sites: None
) -> Any:
    """A clone of the model whose cross-attentions also attend to the image prompt; the incoming model is left as it is.

    `also` may add to the clone what belongs to the adapter elsewhere; it is not called when the adapter has no effect.
    Raises WrongBaseError, WrongEncoderError, PictureError or SettingError, all before any sampling.
    """
    sites = checked_sites(model.get_model_object("diffusion_model"), adapter, prompt)
    to_sigma = model.get_model_object("model_sampling").percent_to_sigma
    parts = [
        (inputs, timing(settings.start_percent, settings.end_percent, schedule, to_sigma))
        for inputs, schedule in by_picture(*by_latent(prompt.inputs(adapter.spec), settings.schedule))
    ]
    region = 1.0 if settings.mask is None else region_of(settings.mask)
    strengths = site_strengths(settings.weight_type, settings.layer_weights, sites)
    factors = [settings.weight * strength.factor for strength in strengths]
    place = _place(model, adapter)
    clone = model.clone()
    if region == 0.0 or settings.start_percent == settings.end_percent or not any(factors):
        log.info("%s has no effect with these settings: the model is left unpatched", adapter.source.name)
        return clone
    targets = [Target(*target) for target in zip(sites, adapter.spec.site_indices, factors, strict=True)]
    avoided = {site for site, strength in zip(sites, strengths, strict=True) if strength.direction is Direction.AWAY}
    progress = Progress(len(targets) * len(parts))
    area = region if isinstance(region, Region) else None
    for number, (inputs, when) in enumerate(parts):
        pairs = _pairs(inputs, bool(avoided))
        pictures = range(number, number + (1 if pairs else len(inputs.weights)))
        application = Application(adapter.source.name, when, area, pairs, pictures, adapter.spec.tokens)
        computed = adapter.key_values(inputs, targets, place, progress, Scaling(settings.embeds_scaling))
        turned = (turned_away(item) if item.site in avoided else item for item in computed)
        put(clone, application, _branches(turned, application, _compute_dtype(model)), _text_attention)
    also(clone, sites)
    acting = sum(factor != 0 for factor in factors)
    log.info("%s applied at %d of %d cross-attentions", adapter.source.name, acting, len(sites))
    return clone


def _pairs(inputs: ProjectorInputs, is_turned: bool) -> Pairs | None:
    """Raises SettingError for negative pictures that do not go with the positive ones."""
    if inputs.share is Share.ALL:
        return None
    # Where the negative rows see the positive pictures, each of them has its own.
    return Pairs(len(inputs.weights), len(inputs.weights) if is_turned else len(inputs.negative[0]))


def _place(model: Any, adapter: Adapter) -> Place:
    """Where keys and values are computed, with room made for it. Raises WrongBaseError if Kolors' part is missing."""
    device = comfy.model_management.get_torch_device()
    comfy.model_management.free_memory(_working_memory(adapter), device)
    spec = adapter.spec
    if spec.tokens_width == spec.context_width:
        return Place(device)
    projection = getattr(model.get_model_object("diffusion_model"), "encoder_hid_proj", None)
    if projection is None:
        raise WrongBaseError(
            f"{adapter.source.name} gives tokens of width {spec.tokens_width}, which Kolors' own projection of text "
            f"(encoder_hid_proj) brings to {spec.context_width}; the connected model has none. Connect a Kolors model."
        )
    weight, bias = (parameter.to(device, torch.float32) for parameter in (projection.weight, projection.bias))
    return Place(device, lambda tokens: functional.linear(tokens, weight, bias))


def _branches(computed: Iterator[KeyValue], application: Application, dtype: torch.dtype) -> dict[Site, SiteBranch]:
    branches = {item.site: SiteBranch(application, item, dtype) for item in computed}
    if not all(
        bool(branch.key.isfinite().all()) and bool(branch.value.isfinite().all()) for branch in branches.values()
    ):
        raise AdapterFileError(
            f"{application.name} gives keys or values that are NaN or too large for {dtype}. "
            "Use the file's float32 version, a lower weight, or run ComfyUI with --bf16-unet or --fp32-unet."
        )
    return branches


def _working_memory(adapter: Adapter) -> float:
    """Bytes needed for a moment: the projector and the two largest matrices, in float32."""
    shapes = adapter.source.shapes
    projector = sum(_count(shape) for name, shape in shapes.items() if name.startswith("image_proj."))
    largest = max(_count(shape) for name, shape in shapes.items() if name.startswith("ip_adapter."))
    return 4.0 * (projector + 2 * largest) + comfy.model_management.minimum_inference_memory()


def _count(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _compute_dtype(model: Any) -> torch.dtype:
    """The precision in which the model's attention runs, which the stored one need not be (fp8, manual cast)."""
    dtype = getattr(model.model, "manual_cast_dtype", None) or model.model.get_dtype()
    return dtype if dtype in (torch.float16, torch.bfloat16, torch.float32) else torch.float16


def _text_attention(query: Tensor, key: Tensor, value: Tensor, options: Options) -> Tensor:
    """The attention the host itself would have run here, through whichever backend the user has chosen."""
    return host_attention.optimized_attention(
        query,
        key,
        value,
        options["n_heads"],
        attn_precision=options.get("attn_precision"),
        transformer_options=options,
    )
