"""How much a picture follows an image prompt and a text, from the features of any CLIP."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float

_CLIP_SCORE = 2.5  # Hessel et al. 2021 (arXiv 2104.08718), section 3: w
_NORMAL_95 = 1.96


def clip_i(made: Float[Tensor, "pictures width"], references: Float[Tensor, "pictures width"]) -> Tensor:
    """Cosine similarity of the image embeddings of every picture and its image prompt, in [-1, 1].

    Source: Ye et al. 2023 (arXiv 2308.06721), section 4.2.
    """
    return functional.cosine_similarity(made, references, dim=1)


def clip_t(made: Float[Tensor, "pictures width"], texts: Float[Tensor, "pictures width"]) -> Tensor:
    """CLIPScore of every picture and the caption of its image prompt: `2.5 max(cos, 0)`, in [0, 2.5].

    Source: Ye et al. 2023 (arXiv 2308.06721), section 4.2, after Hessel et al. 2021 (arXiv 2104.08718), equation 1.
    """
    return _CLIP_SCORE * functional.cosine_similarity(made, texts, dim=1).clamp(min=0)


@dataclass(frozen=True)
class Mean:
    """A mean over pictures and half the width of its 95 % confidence interval, which for one picture is unknown."""

    value: float
    margin: float
    count: int

    @classmethod
    def of(cls, scores: Sequence[float]) -> "Mean":
        """By the normal approximation, which takes the pictures as independent."""
        count = len(scores)
        mean = sum(scores) / count
        if count < 2:
            return cls(mean, math.nan, count)
        variance = sum((score - mean) ** 2 for score in scores) / (count - 1)
        return cls(mean, _NORMAL_95 * math.sqrt(variance / count), count)

    def __str__(self) -> str:
        return f"{self.value:.3f}" if math.isnan(self.margin) else f"{self.value:.3f} ± {self.margin:.3f}"
