"""How strongly an adapter acts at each cross-attention."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from .errors import SettingError
from .sites import Site


@dataclass(frozen=True)
class LayerWeights:
    """Factors by the name of a site ("output 1 0") or of a block ("output 1"); what is not named keeps 1."""

    factors: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        wrong = [name for name, factor in self.factors if not isfinite(factor)]
        if wrong:
            raise SettingError(f"Expected finite layer weights, got NaN or infinity for {', '.join(wrong)}.")

    def at(self, site: Site) -> float:
        table = dict(self.factors)
        block = " ".join(map(str, site.block[:2]))
        return table.get(site.name, table.get(block, 1.0))


def _linear(sites: Sequence[Site]) -> list[float]:
    return [1.0] * len(sites)


WEIGHT_TYPES: dict[str, Callable[[Sequence[Site]], list[float]]] = {"linear": _linear}


def site_factors(weight_type: str, layer_weights: LayerWeights | None, sites: Sequence[Site]) -> list[float]:
    """One factor per site: that of the weight type times that of the layer weights.

    Raises SettingError for an unknown weight type and for layer weights of sites that the model does not have.
    """
    if weight_type not in WEIGHT_TYPES:
        raise SettingError(f"Unknown weight type {weight_type!r}. Choose one of: {', '.join(WEIGHT_TYPES)}.")
    factors = WEIGHT_TYPES[weight_type](sites)
    if layer_weights is None:
        return factors
    known = {site.name for site in sites} | {" ".join(map(str, site.block[:2])) for site in sites}
    unknown = [name for name, _ in layer_weights.factors if name not in known]
    if unknown:
        raise SettingError(
            f"The model has no cross-attention named {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )
    return [factor * layer_weights.at(site) for factor, site in zip(factors, sites, strict=True)]
