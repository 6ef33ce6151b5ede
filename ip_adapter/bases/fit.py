"""Whether the matrices of an adapter fit the cross-attentions of a model."""

from ...models.facts import BaseModel
from ..errors import WrongBaseError
from ..spec import AdapterSpec
from .backbone import Site
from .base_models import base_name, fitting_bases


def check_base(spec: AdapterSpec, sites: tuple[Site, ...], file: str, family: BaseModel | None = None) -> None:
    """Raises WrongBaseError unless every matrix of the adapter fits the cross-attention it goes to.

    `family` is what `family_of` knows of the model beside its sites.
    """
    obstacle = _obstacle(spec, sites, family)
    if obstacle is not None:
        trained = (spec.context_width, len(spec.site_indices), spec.base)
        raise WrongBaseError(
            f"{file} was trained for {base_name(*trained)}, but {obstacle}. It fits {fitting_bases(*trained)}. "
            "Connect one of these, or choose an adapter for the connected model."
        )


def _obstacle(spec: AdapterSpec, sites: tuple[Site, ...], family: BaseModel | None) -> str | None:
    if not sites:
        return "the connected model has no UNet cross-attention (it may be Flux, SD3 or another transformer)"
    given = f"the connected model is {base_name(sites[0].context_width, len(sites), family)}"
    if any(site.context_width != spec.context_width for site in sites):
        return given
    # Distilled models lack sites of SDXL. Their makers have not published which of the teacher's the others are, and
    # compared whole blocks in training, not single cross-attentions:
    # https://github.com/segmind/SSD-1B/blob/3bf633b5fa339630e50f75f521d66b8a0b0a22eb/distill_sdxl.py#L662
    if len(sites) != len(spec.site_indices):
        return (
            f"{given}, and no rule is published by which the file's matrices could be assigned to its cross-attentions"
        )
    for site, width in zip(sites, spec.site_widths, strict=True):
        if site.width != width:
            return f"at {site.name} it expects width {width} and the connected model, otherwise alike, has {site.width}"
    if {spec.base, family} == {BaseModel.SDXL, BaseModel.KOLORS}:
        return f"{given}, which has the same sizes but was trained with another text encoder"
    return None
