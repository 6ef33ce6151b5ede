"""What the loss sees of pictures and captions: latents, text, and the arguments of the projector."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.shapes import Float


@dataclass(frozen=True, eq=False)
class Text:
    """A text as the base model sees it: its states and, for SDXL, the vector of its pooled state and the sizes."""

    context: Float[Tensor, "batch tokens width"]
    vector: Float[Tensor, "batch added_width"] | None

    def to(self, device: torch.device) -> "Text":
        return Text(self.context.to(device), None if self.vector is None else self.vector.to(device))

    def where(self, keep: Tensor, other: "Text") -> "Text":
        """This text in rows to keep, the other (of one row or as many) elsewhere."""
        context = torch.where(keep[:, None, None], self.context, other.context)
        if self.vector is None or other.vector is None:
            return Text(context, None)
        return Text(context, torch.where(keep[:, None], self.vector, other.vector))


@dataclass(frozen=True, eq=False)
class Batch:
    """Encoded pictures with their captions; `image` holds one tensor for each argument of the projector."""

    latents: Float[Tensor, "batch channels height width"]
    text: Text
    image: tuple[Tensor, ...]

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.latents.to(device), self.text.to(device), tuple(part.to(device) for part in self.image))


@dataclass(frozen=True, eq=False)
class UncondBatch:
    """What stands, in one row, where text or picture is dropped: what guidance shows the negative side."""

    text: Text
    image: tuple[Tensor, ...]

    def to(self, device: torch.device) -> "UncondBatch":
        return UncondBatch(self.text.to(device), tuple(part.to(device) for part in self.image))


def joined(batches: Sequence[Batch]) -> Batch:
    """The samples of several batches in one, in order."""
    vectors = [batch.text.vector for batch in batches if batch.text.vector is not None]
    return Batch(
        torch.cat([batch.latents for batch in batches]),
        Text(torch.cat([batch.text.context for batch in batches]), torch.cat(vectors) if vectors else None),
        tuple(torch.cat(parts) for parts in zip(*(batch.image for batch in batches), strict=True)),
    )
