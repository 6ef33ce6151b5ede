"""An adapter: what its file is, and the keys and values it makes of an image prompt."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models import build_projector
from ..models.shapes import Float
from .attention.key_value import NEGATIVE, POSITIVE, KeyValue, swap_guidance
from .attention.scaling import Scaling, scaled
from .bases.backbone import Site
from .errors import AdapterFileError, SettingError
from .files.checkpoint import ReadTensor, TensorSource, read_tensors
from .prompts.projector_inputs import ProjectorInputs
from .recognition.detect import PROJECTOR_PREFIX, SITE_PREFIX, describe
from .recognition.layouts import canonical
from .recognition.variant import AUTO, Clues
from .spec import AdapterSpec
from .weights.weight_types import Direction, Strength

_MAX_TOKENS = 8192  # per side, where repetition would add them


@dataclass(frozen=True)
class Target:
    """A cross-attention that the adapter acts on, the published number of its matrices, how strongly and which way."""

    site: Site
    index: int
    strength: Strength


@dataclass(frozen=True, eq=False)
class ComputeTarget:
    """Where keys and values are computed, and the base's own projection of image tokens, where it has one (Kolors)."""

    device: torch.device
    bridge: Callable[[Tensor], Tensor] = lambda tokens: tokens


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """Projected tokens of the negative and the positive side, and how strongly each token speaks."""

    rows: Float[Tensor, "2 tokens context_width"]
    strengths: Float[Tensor, "2 tokens"]


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter file. Its tensors are read when they are needed and not kept."""

    spec: AdapterSpec
    source: TensorSource

    @classmethod
    def load(cls, path: Path, variant: str = AUTO, published: Callable[[], str | None] = lambda: None) -> "Adapter":
        """Reads what the file is. Raises AdapterFileError, NotAnAdapterError, or SettingError for a wrong variant."""
        return cls.of(read_tensors(path), variant, published)

    @classmethod
    def of(
        cls, source: TensorSource, variant: str = AUTO, published: Callable[[], str | None] = lambda: None
    ) -> "Adapter":
        """The adapter of named tensors in any layout; `published` looks up what a file of this hash is known to be."""
        source = canonical(source)
        clues = Clues(variant, published, source.metadata, source.dtypes)
        return cls(describe(source.shapes, source.name, clues), source)

    @torch.inference_mode()
    def key_values(
        self,
        inputs: ProjectorInputs,
        targets: Sequence[Target],
        place: ComputeTarget,
        tick: Callable[[], None] = lambda: None,
        scaling: Scaling = Scaling.VALUES,
    ) -> Iterator[KeyValue]:
        """Float32 keys and values for every site whose factor is not 0, one site at a time; `tick` may raise to cancel.

        Only one matrix of the file is on the device at any moment. The factor and the strength of each token are
        contained in the values, and in the keys if `scaling` says so.
        """
        with self.source.open() as read:
            tokens = self._image_tokens(inputs, read, place)
            for target in targets:
                tick()
                if target.strength.factor:
                    item = self._key_value(read, target, tokens, scaling)
                    yield swap_guidance(item) if target.strength.direction is Direction.AWAY else item

    def _key_value(self, read: ReadTensor, target: Target, tokens: ImageTokens, scaling: Scaling) -> KeyValue:
        names = (f"{SITE_PREFIX}{target.index}.{part}.weight" for part in ("to_k_ip", "to_v_ip"))
        key, value = (functional.linear(tokens.rows, _placed(read(name), tokens.rows.device)) for name in names)
        key, value = scaled(key, value, tokens.strengths * target.strength.factor, scaling)
        heads = (x.unflatten(-1, (target.site.heads, -1)).transpose(1, 2).contiguous() for x in (key, value))
        return KeyValue(target.site, *heads)

    def _image_tokens(self, inputs: ProjectorInputs, read: ReadTensor, place: ComputeTarget) -> ImageTokens:
        projector = self._projector(read, place.device)
        sides = [
            place.bridge(projector(*(x.to(place.device, torch.float32) for x in side), **inputs.options))
            for side in (inputs.negative, inputs.positive)
        ]
        weights = torch.tensor(inputs.weights)
        strengths = [
            (inputs.negative_strength * weights.mean()).expand(sides[NEGATIVE].shape[:2].numel()),
            weights.repeat_interleave(sides[POSITIVE].shape[1]),
        ]
        rows = _equally_long([side.flatten(0, 1) for side in sides])
        result = ImageTokens(torch.stack(rows), torch.stack(_equally_long(strengths)).to(place.device))
        if not bool(result.rows.isfinite().all()):
            raise AdapterFileError(
                f"{self.source.name} makes NaN of a sound image prompt, so it is damaged. Download it again."
            )
        return result

    def _projector(self, read: ReadTensor, device: torch.device) -> nn.Module:
        with torch.device("meta"):
            projector = build_projector(self.spec.projector)
        expected = {PROJECTOR_PREFIX + name: tuple(tensor.shape) for name, tensor in projector.state_dict().items()}
        given = {name: shape for name, shape in self.source.shapes.items() if name.startswith(PROJECTOR_PREFIX)}
        for name in sorted(expected.keys() | given.keys()):
            if expected.get(name) != given.get(name):
                raise AdapterFileError(
                    f"{self.source.name} is damaged or of a kind that is not known: {name} should have the shape "
                    f"{expected.get(name)} and has {given.get(name)}. Download it again."
                )
        weights = {name: _placed(read(PROJECTOR_PREFIX + name), device) for name in projector.state_dict()}
        projector.load_state_dict(weights, strict=True, assign=True)
        return projector.eval()


def _placed(matrix: Tensor, device: torch.device) -> Tensor:
    """A float32 copy in memory of its own: products of a mapped file's unaligned memory differ in the last bit."""
    return matrix.to(device, torch.float32, copy=True)


def _equally_long(sides: list[Tensor]) -> list[Tensor]:
    """Both sides repeated to one number of tokens: attention over the same tokens twice is attention over them once."""
    length = math.lcm(*map(len, sides))
    if length > max(_MAX_TOKENS, *map(len, sides)):
        raise SettingError(
            f"The pictures give {len(sides[POSITIVE])} positive and {len(sides[NEGATIVE])} negative tokens, which need "
            f"{length} to run side by side. Give as many pictures of both, one negative, or combine them by average."
        )
    return [side.repeat(length // len(side), *[1] * (side.ndim - 1)) for side in sides]
