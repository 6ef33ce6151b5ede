"""Keys and values of a plan, computed on the host's device under its memory management."""

from collections.abc import Callable, Iterator

import comfy.model_management
import torch
from torch.nn import functional

from ..adapter import Adapter, ComputeTarget
from ..applying.plan import Plan, PlannedPart
from ..bases.backbone import Site
from ..errors import AdapterFileError
from .model import HostModel, network_of, text_projection
from .patches import SiteBranch


def compute_target(model: HostModel, adapter: Adapter) -> ComputeTarget:
    """Where keys and values are computed, with room made for it."""
    device = comfy.model_management.get_torch_device()
    comfy.model_management.free_memory(_working_memory(adapter), device)
    projection = text_projection(network_of(model))
    if projection is None or adapter.spec.tokens_width == adapter.spec.context_width:
        return ComputeTarget(device)
    weight, bias = (parameter.to(device, torch.float32) for parameter in (projection.weight, projection.bias))
    return ComputeTarget(device, lambda tokens: functional.linear(tokens, weight, bias))


def branches(
    plan: Plan, part: PlannedPart, target: ComputeTarget, dtype: torch.dtype, tick: Callable[[], None]
) -> dict[Site, SiteBranch]:
    """The image branch of every site at which the plan acts. `tick` may raise to cancel.

    Raises AdapterFileError for a file whose keys or values are not finite in this precision.
    """
    return dict(_checked(plan, part, target, dtype, tick))


def _checked(
    plan: Plan, part: PlannedPart, target: ComputeTarget, dtype: torch.dtype, tick: Callable[[], None]
) -> Iterator[tuple[Site, SiteBranch]]:
    for item in plan.adapter.key_values(part.inputs, plan.targets, target, tick, plan.scaling):
        branch = SiteBranch(part.application, item, dtype)
        if not (bool(branch.key.isfinite().all()) and bool(branch.value.isfinite().all())):
            raise AdapterFileError(
                f"{part.application.name} gives keys or values that are NaN or too large for {dtype}. "
                "Use the file's float32 version, a lower weight, or run ComfyUI with --bf16-unet or --fp32-unet."
            )
        yield item.site, branch


def compute_dtype(model: HostModel) -> torch.dtype:
    """The precision in which the model's attention runs, which the stored one need not be (fp8, manual cast)."""
    dtype = getattr(model.model, "manual_cast_dtype", None) or model.model.get_dtype()
    return dtype if dtype in (torch.float16, torch.bfloat16, torch.float32) else torch.float16


def _working_memory(adapter: Adapter) -> float:
    """Bytes needed for a moment: the projector and the two largest matrices, in float32."""
    shapes = adapter.source.shapes
    projector = sum(_count(shape) for name, shape in shapes.items() if name.startswith("image_proj."))
    largest = max(_count(shape) for name, shape in shapes.items() if name.startswith("ip_adapter."))
    return 4.0 * (projector + 2 * largest) + comfy.model_management.minimum_inference_memory()


def _count(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
