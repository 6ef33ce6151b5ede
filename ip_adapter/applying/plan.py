"""The plan of an application: what goes where, how strongly, and who sees which picture when.

Pure: it needs no host and computes no tensor, and every error that a user can make is raised here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ...models.facts import BaseModel
from ..adapter import Adapter, Target
from ..attention.region import Region, region_of
from ..attention.scaling import Scaling
from ..bases.backbone import Site
from ..errors import WrongBaseError
from ..prompts.projector_inputs import ProjectorInputs, Prompt
from ..weights.layer_weights import LayerWeights, site_strengths
from ..weights.schedule import WeightSchedule, timing
from ..weights.weight import check_weight
from ..weights.weight_types import Direction, Strength
from .application import Application
from .assignment import Assignment, assign
from .compatibility import check_fit


@dataclass(frozen=True, eq=False)
class ApplyOptions:
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


@dataclass(frozen=True, eq=False)
class ModelFacts:
    """What a plan asks of the connected model."""

    sites: tuple[Site, ...]  # none for a model of another class than the known backbones
    family: BaseModel | None  # which of two bases of equal sites, where the model shows it
    to_sigma: Callable[[float], float]  # from progress to noise level
    projects_text: bool  # whether it has Kolors' projection of text (encoder_hid_proj)


@dataclass(frozen=True, eq=False)
class PlannedPart:
    """Pictures that are projected and applied together."""

    application: Application
    inputs: ProjectorInputs


@dataclass(frozen=True, eq=False)
class Plan:
    """An adapter on its way into a model. Without parts it has no effect, and the model stays unpatched."""

    adapter: Adapter
    targets: tuple[Target, ...]
    parts: tuple[PlannedPart, ...]
    scaling: Scaling
    lora_weight: float

    @property
    def sites(self) -> tuple[Site, ...]:
        """All of the model, in published order."""
        return tuple(target.site for target in self.targets)

    @property
    def acting(self) -> int:
        """At how many sites the adapter acts."""
        return sum(target.strength.factor != 0 for target in self.targets)


def plan_application(
    model: ModelFacts, adapter: Adapter, prompt: Prompt, options: ApplyOptions, lora_weight: float = 0.0
) -> Plan:
    """What is to be computed and put into the model.

    Raises WrongBaseError, WrongEncoderError, WrongPromptError, FaceError, PictureError or SettingError.
    """
    check_fit(model.sites, model.family, adapter, prompt)
    strengths = site_strengths(options.weight_type, options.layer_weights, model.sites)
    targets = tuple(
        Target(site, index, strength * Strength(options.weight))
        for site, index, strength in zip(model.sites, adapter.spec.site_indices, strengths, strict=True)
    )
    is_swapped = any(strength.direction is Direction.AWAY for strength in strengths)
    assignments = assign(prompt.inputs(adapter.spec), options.schedule, is_swapped)
    region = None if options.mask is None else region_of(options.mask)
    parts = tuple(_part(assignment, model, adapter, options, region) for assignment in assignments)
    _check_projection(model, adapter)
    is_nowhere = region is not None and region.is_empty
    has_effect = not is_nowhere and options.start_percent != options.end_percent and _acts(targets)
    return Plan(adapter, targets, parts if has_effect else (), Scaling(options.embeds_scaling), lora_weight)


def _part(
    assignment: Assignment, model: ModelFacts, adapter: Adapter, options: ApplyOptions, region: Region | None
) -> PlannedPart:
    when = timing(options.start_percent, options.end_percent, assignment.schedule, model.to_sigma)
    name, tokens = adapter.source.name, adapter.spec.tokens
    application = Application(name, when, region, assignment.pairs, assignment.pictures, tokens)
    return PlannedPart(application, assignment.inputs)


def _acts(targets: Sequence[Target]) -> bool:
    return any(target.strength.factor for target in targets)


def _check_projection(model: ModelFacts, adapter: Adapter) -> None:
    spec = adapter.spec
    if spec.tokens_width != spec.context_width and not model.projects_text:
        raise WrongBaseError(
            f"{adapter.source.name} gives tokens of width {spec.tokens_width}, which Kolors' own projection of text "
            f"(encoder_hid_proj) brings to {spec.context_width}; the connected model has none. Connect a Kolors model."
        )
