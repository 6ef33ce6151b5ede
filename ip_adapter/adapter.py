"""An adapter: what its file is, and the keys and values it makes of an image prompt."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models.shapes import Float
from .checkpoint import ReadTensor, TensorSource, read_tensors
from .detect import PROJECTOR_PREFIX, SITE_PREFIX, describe
from .errors import AdapterFileError, SettingError, WrongEncoderError
from .names import encoder_name
from .projectors import build_projector
from .prompt import ImagePrompt, combined
from .sites import Site
from .spec import AdapterSpec, NegativeFeatures

_MAX_TOKENS = 8192  # per side, where repetition would add them
NEGATIVE, POSITIVE = 0, 1  # rows of everything that has both; this order matches the host's usual batch


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """Projected tokens of the negative and the positive side, and how strongly each token speaks."""

    rows: Float[Tensor, "2 tokens context_width"]
    strengths: Float[Tensor, "2 tokens"]


@dataclass(frozen=True, eq=False)
class KeyValue:
    """The image keys and values of one site, negative row first."""

    site: Site
    key: Float[Tensor, "2 heads tokens head_width"]
    value: Float[Tensor, "2 heads tokens head_width"]


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter file. Its tensors are read when they are needed and not kept."""

    spec: AdapterSpec
    source: TensorSource

    @classmethod
    def load(cls, path: Path) -> "Adapter":
        """Reads what the file is. Raises AdapterFileError or NotAnAdapterError."""
        return cls.of(read_tensors(path))

    @classmethod
    def of(cls, source: TensorSource) -> "Adapter":
        return cls(describe(source.shapes, source.name), source)

    def check_prompt(self, prompt: ImagePrompt) -> None:
        """Raises WrongEncoderError unless the prompt's encoder is the one this adapter was trained with."""
        given = prompt.positive.at(self.spec.stage).shape[-1]
        if given != self.spec.feature_width:
            raise WrongEncoderError(
                f"{self.source.name} needs image prompts of {encoder_name(self.spec.stage, self.spec.feature_width)} "
                f"({self.spec.stage.value} width {self.spec.feature_width}), but this one was encoded by "
                f"{encoder_name(self.spec.stage, given)} (width {given}). Load that encoder in the CLIP vision loader."
            )

    @torch.inference_mode()
    def key_values(
        self,
        prompt: ImagePrompt,
        sites: Sequence[Site],
        factors: Sequence[float],
        device: torch.device,
        tick: Callable[[], None] = lambda: None,
    ) -> Iterator[KeyValue]:
        """Float32 keys and values for every site whose factor is not 0, one site at a time; `tick` may raise to cancel.

        Only one matrix of the file is on the device at any moment. The factor and the strength of each token are
        contained in the values.
        """
        with self.source.open() as read:
            tokens = self._image_tokens(prompt, read, device)
            for index, site, factor in zip(self.spec.site_indices, sites, factors, strict=True):
                tick()
                if factor:
                    yield self._key_value(read, index, site, factor, tokens)

    def _key_value(self, read: ReadTensor, index: int, site: Site, factor: float, tokens: ImageTokens) -> KeyValue:
        key, value = (
            functional.linear(tokens.rows, read(f"{SITE_PREFIX}{index}.{name}.weight").to(tokens.rows))
            for name in ("to_k_ip", "to_v_ip")
        )
        value = value * (tokens.strengths * factor)[:, :, None]
        heads = (key.unflatten(-1, (site.heads, -1)), value.unflatten(-1, (site.heads, -1)))
        return KeyValue(site, *(x.transpose(1, 2).contiguous() for x in heads))

    def _image_tokens(self, prompt: ImagePrompt, read: ReadTensor, device: torch.device) -> ImageTokens:
        projector = self._projector(read, device)
        positive, weights = combined(prompt.positive.at(self.spec.stage), prompt.weights, prompt.combine)
        negative = self._negative_features(prompt, positive)
        sides = [projector(x.to(device, torch.float32)).flatten(0, 1) for x in (negative, positive)]
        strengths = [
            torch.full((len(sides[NEGATIVE]),), sum(weights) / len(weights)),
            torch.tensor(weights).repeat_interleave(self.spec.tokens),
        ]
        # Attention over the same tokens twice equals attention over them once: repeating makes both sides equal long.
        length = math.lcm(*map(len, sides))
        if length > max(_MAX_TOKENS, *map(len, sides)):
            raise SettingError(
                f"{len(positive)} positive and {len(negative)} negative pictures would need {length} tokens "
                "to run side by side. Give as many of both, one negative picture, or combine them by average."
            )
        rows, scales = ([x.repeat(length // len(x), *[1] * (x.ndim - 1)) for x in part] for part in (sides, strengths))
        result = ImageTokens(torch.stack(rows), torch.stack(scales).to(device))
        if not bool(result.rows.isfinite().all()):
            raise AdapterFileError(
                f"{self.source.name} makes NaN of a sound image prompt, so it is damaged. Download it again."
            )
        return result

    def _negative_features(self, prompt: ImagePrompt, positive: Tensor) -> Tensor:
        if prompt.negative is not None:
            features = prompt.negative.at(self.spec.stage)
            return combined(features, [1.0] * len(features), prompt.combine)[0]
        if self.spec.negative is NegativeFeatures.ZERO_EMBEDDING:
            return torch.zeros_like(positive[:1])
        return prompt.zero_picture.at(self.spec.stage)

    def _projector(self, read: ReadTensor, device: torch.device) -> nn.Module:
        with torch.device("meta"):
            projector = build_projector(self.spec.kind, self.spec.projector)
        expected = {PROJECTOR_PREFIX + name: tuple(tensor.shape) for name, tensor in projector.state_dict().items()}
        given = {name: shape for name, shape in self.source.shapes.items() if name.startswith(PROJECTOR_PREFIX)}
        for name in sorted(expected.keys() | given.keys()):
            if expected.get(name) != given.get(name):
                raise AdapterFileError(
                    f"{self.source.name} is damaged or of a kind that is not known: {name} should have the shape "
                    f"{expected.get(name)} and has {given.get(name)}. Download it again."
                )
        weights = {name: read(PROJECTOR_PREFIX + name).to(device, torch.float32) for name in projector.state_dict()}
        projector.load_state_dict(weights, strict=True, assign=True)
        return projector.eval()
