"""How several pictures become one: functions of encoder features, before any adapter."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..enums import NamedEnum
from ..errors import SettingError
from .projector_inputs import Share

Rows = Float[Tensor, "pictures ..."]  # pooled features, or those of every patch; patches are combined place by place


class Combine(NamedEnum):
    """How several pictures become one prompt.

    All but the first two make one picture's worth of tokens. `strength * features` of the result is the mean of
    `weight * features` for average, their sum for add, and the first less the mean of the others for subtract.
    """

    CONCAT = "concat"  # the tokens of all pictures side by side; attention chooses among them
    ONE_PER_LATENT = "one per latent"  # the first picture for the first latent of the batch, the second for the second
    AVERAGE = "average"  # the mean, weighted by the pictures' weights; speaks with their mean
    NORM_AVERAGE = "norm average"  # the same mean of directions, as long as the pictures' features are on average
    ADD = "add"  # the sum; the largest weight is the strength, the others count relative to it
    SUBTRACT = "subtract"  # the first less the mean of the others; strength and weights as for add
    MAX = "max"  # the largest of each number, whatever the weights; speaks with their mean

    @property
    def share(self) -> Share:
        return Share.ONE_PER_LATENT if self is Combine.ONE_PER_LATENT else Share.ALL


SIDE_BY_SIDE = (Combine.CONCAT, Combine.ONE_PER_LATENT)


def combined(features: Rows, weights: Sequence[float], how: Combine) -> tuple[Tensor, list[float]]:
    """Features and weights after combining: as they are, or one row and its strength.

    Raises SettingError where a mean is taken with weights that add up to 0.
    """
    if how in SIDE_BY_SIDE or len(features) == 1:
        return features, list(weights)
    if not any(weights):
        return combined(features, [1.0] * len(features), how)[0], [0.0]
    row, strength = _METHODS[how](features, torch.tensor(list(weights), dtype=features.dtype))
    return row[None], [strength]


def _average(features: Rows, weights: Tensor) -> tuple[Tensor, float]:
    total = float(weights.sum())
    if total == 0:
        raise SettingError("The weights of averaged pictures add up to 0. Give at least one of them a weight.")
    return torch.tensordot(weights / total, features, dims=1), total / len(weights)


def _norm_average(features: Rows, weights: Tensor) -> tuple[Tensor, float]:
    # The length that the projector was trained with; a mean of directions alone is shorter than any of them.
    direction, strength = _average(functional.normalize(features, dim=-1), weights)
    return functional.normalize(direction, dim=-1) * features.norm(dim=-1, keepdim=True).mean(0), strength


def _add(features: Rows, weights: Tensor) -> tuple[Tensor, float]:
    largest = weights[weights.abs().argmax()]
    return torch.tensordot(weights / largest, features, dims=1), float(largest)


def _subtract(features: Rows, weights: Tensor) -> tuple[Tensor, float]:
    signs = torch.full_like(weights, -1 / (len(weights) - 1))
    signs[0] = 1.0
    largest = weights[weights.abs().argmax()]
    return torch.tensordot(signs * weights / largest, features, dims=1), float(largest)


def _max(features: Rows, weights: Tensor) -> tuple[Tensor, float]:
    return features.amax(0), float(weights.mean())


_METHODS: dict[Combine, Callable[[Rows, Tensor], tuple[Tensor, float]]] = {
    Combine.AVERAGE: _average,
    Combine.NORM_AVERAGE: _norm_average,
    Combine.ADD: _add,
    Combine.SUBTRACT: _subtract,
    Combine.MAX: _max,
}
