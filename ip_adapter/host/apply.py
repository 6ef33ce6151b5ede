"""An adapter and an image prompt into a clone of the host's model."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.patcher_extension
import torch
from comfy.ldm.modules import attention as host_attention
from torch import Tensor
from torch.nn import functional

from ..adapter import Adapter, KeyValue, Place, Target
from ..crossfade import by_picture
from ..errors import AdapterFileError, WrongBaseError
from ..injection import (
    OPTION,
    Application,
    Attention,
    Evaluator,
    Options,
    SiteBranch,
    SitePatch,
    record_areas,
    turned_away,
)
from ..layer_weights import LayerWeights, site_strengths
from ..mask import Region, region_of
from ..projector_inputs import Prompt
from ..schedule import WeightSchedule, timing
from ..sites import Site
from ..trio import checked_sites
from ..weight import check_weight
from ..weight_types import Direction
from .progress import Progress

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
        for inputs, schedule in by_picture(prompt.inputs(adapter.spec), settings.schedule)
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
    for inputs, when in parts:
        application = Application(adapter.source.name, when, region if isinstance(region, Region) else None)
        computed = adapter.key_values(inputs, targets, place, progress)
        turned = (turned_away(item) if item.site in avoided else item for item in computed)
        _patch(clone, application, _branches(turned, application, _compute_dtype(model)))
    also(clone, sites)
    acting = sum(factor != 0 for factor in factors)
    log.info("%s applied at %d of %d cross-attentions", adapter.source.name, acting, len(sites))
    return clone


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


def _patch(model: Any, application: Application, branches: dict[Site, SiteBranch]) -> None:
    replacements = model.model_options.get("transformer_options", {}).get("patches_replace", {}).get("attn2", {})
    for site, branch in branches.items():
        present = replacements.get(site.block, replacements.get(site.block[:2]))
        model.set_model_attn2_replace(_stacked(present, branch), *site.block)
    if application.timing is not None or application.region is not None:
        _wrap(model, application)
    if application.region is not None:
        kind = comfy.patcher_extension.WrappersMP.CALC_COND_BATCH
        model.remove_wrappers_with_key(kind, OPTION)
        model.add_wrapper_with_key(kind, OPTION, record_areas)


def _stacked(present: Attention | None, branch: SiteBranch) -> SitePatch:
    """A patch on top of what stands there: nothing, another adapter of ours, or a function of another pack."""
    if isinstance(present, SitePatch):
        return SitePatch(present.base, (*present.branches, branch))
    return SitePatch(present or _text_attention, (branch,))


def _wrap(model: Any, application: Application) -> None:
    """One evaluator for all applications: the clone's own replaces the one it inherited."""
    kinds = comfy.patcher_extension.WrappersMP
    inherited: list[Callable[..., Any]] = model.get_wrappers(kinds.APPLY_MODEL, OPTION)
    earlier = [known for evaluator in inherited if isinstance(evaluator, Evaluator) for known in evaluator.applications]
    evaluator = Evaluator([*earlier, application])
    for kind, wrapper in ((kinds.APPLY_MODEL, evaluator), (kinds.OUTER_SAMPLE, evaluator.check_batch)):
        model.remove_wrappers_with_key(kind, OPTION)
        model.add_wrapper_with_key(kind, OPTION, wrapper)
