"""Pictures that an adapter makes of references, by the paper's protocol: what `run.py evaluate` can draw to measure."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import comfy.sample
import torch
from torch import Tensor

from ..adapter import Adapter
from ..prompts.encoder import EncodeChoice, Reference
from ..training.pictures import Captioned, read_picture, save_picture
from .apply import Settings, apply
from .encode import encode_prompt
from .training import Loaded, escaped

_CELL = 8  # pixels to a latent
_SAMPLER, _SCHEDULER = "ddim", "ddim_uniform"
log = logging.getLogger("ip_adapter.evaluation")


class Texts(str, Enum):
    """What text goes with the picture."""

    EMPTY = "empty"
    CAPTION = "caption"


@dataclass(frozen=True)
class Protocol:
    """How pictures are drawn: every weight with every text. The defaults are the paper's, section 4.1, but the seed."""

    pictures: int = 4  # of every reference
    steps: int = 50
    guidance: float = 7.5
    weights: tuple[float, ...] = (1.0,)
    texts: tuple[Texts, ...] = (Texts.EMPTY,)
    resolution: int = 512
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Artist:
    """A base and an adapter with its image encoder."""

    loaded: Loaded
    clip_vision: Any
    adapter: Adapter

    def draw(self, reference: Captioned, weight: float, text: str, protocol: Protocol) -> Tensor:
        """Pictures (n, 3, height, width) in [0, 1]. Raises what applying raises, and BROKEN for a broken reference."""
        image = read_picture(reference.path).movedim(1, -1)
        prompt, _ = encode_prompt(self.clip_vision, Reference(image), None, EncodeChoice())
        model = apply(self.loaded.model, self.adapter, prompt, Settings(weight=weight))
        side = protocol.resolution // _CELL
        channels = self.loaded.model.get_model_object("latent_format").latent_channels
        latents = torch.zeros(protocol.pictures, channels, side, side)
        noise = comfy.sample.prepare_noise(latents, protocol.seed)
        positive, negative = (self._conditioning(words, protocol.resolution) for words in (text, ""))
        how = (protocol.steps, protocol.guidance, _SAMPLER, _SCHEDULER, positive, negative, latents)
        made = comfy.sample.sample(model, noise, *how, disable_pbar=True, seed=protocol.seed)
        return self.loaded.vae.decode(made).movedim(-1, 1).clamp(0, 1).cpu()

    def _conditioning(self, text: str, resolution: int) -> list[Any]:
        clip = self.loaded.clip
        conditionings = clip.encode_from_tokens_scheduled(clip.tokenize(escaped(text)))
        size = {"width": resolution, "height": resolution}  # which SDXL is told, as in training
        return [[states, {**extra, **size}] for states, extra in conditionings]


def draw_all(artist: Artist, references: Sequence[Captioned], protocol: Protocol, folder: Path) -> None:
    """A folder for every setting with `a_1.png`, `a_2.png` and so on of the reference `a`; what is there is kept."""
    for weight, text in _settings(protocol):
        place = folder / f"weight {weight:g}, {text.value} text"
        place.mkdir(parents=True, exist_ok=True)
        for number, reference in enumerate(references, start=1):
            files = [place / f"{reference.path.stem}_{n + 1}.png" for n in range(protocol.pictures)]
            words = reference.caption if text is Texts.CAPTION else ""
            made = () if all(file.is_file() for file in files) else artist.draw(reference, weight, words, protocol)
            for picture, file in zip(made, files, strict=False):
                save_picture(picture, file)
            log.info("%s: %d of %d references drawn.", place.name, number, len(references))


def _settings(protocol: Protocol) -> Iterator[tuple[float, Texts]]:
    yield from ((weight, text) for text in protocol.texts for weight in protocol.weights)
