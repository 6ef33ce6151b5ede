"""The cross-attentions of the host's MODEL."""

from typing import Any

from ..errors import WrongBaseError
from ..patching.sites import Site, find_sites


def sites_of(model: Any) -> tuple[Site, ...]:
    """All cross-attentions of the model's UNet. Raises WrongBaseError for a model that has none."""
    sites = find_sites(model.get_model_object("diffusion_model"))
    if not sites:
        raise WrongBaseError("The connected model has no UNet cross-attention (it may be Flux). Connect another.")
    return sites
