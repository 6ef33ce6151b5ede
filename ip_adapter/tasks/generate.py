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
from ..applying.plan import ApplyOptions
from ..evaluation.cases import read_case
from ..faces.analysis import largest_face
from ..faces.detection import FaceAnalyser
from ..host.apply import apply
from ..host.apply_face import FaceOptions, apply_face
from ..host.encode import encode_prompt
from ..host.model import HostClipVision, HostModel
from ..prompts.encoder import EncodeOptions, Reference
from ..training.pictures import Captioned, save_picture
from .training import HostCheckpoint, escaped

_CELL = 8  # pixels to a latent
_SAMPLER, _SCHEDULER = "ddim", "ddim_uniform"
log = logging.getLogger("ip_adapter.evaluation")


class Texts(str, Enum):
    """What text goes with the picture."""

    EMPTY = "empty"
    CAPTION = "caption"


@dataclass(frozen=True)
class GenerationOptions:
    """How pictures are drawn: every weight with every text. The defaults are the paper's, section 4.1, but the seed."""

    pictures: int = 4  # of every reference
    steps: int = 50
    guidance: float = 7.5
    weights: tuple[float, ...] = (1.0,)
    texts: tuple[Texts, ...] = (Texts.EMPTY,)
    resolution: int = 512
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Generator:
    """A base, and an adapter with what it reads through: an image encoder, a face analyser, or both."""

    loaded: HostCheckpoint
    adapter: Adapter
    clip_vision: HostClipVision | None = None
    analyser: FaceAnalyser | None = None

    def following(self, picture: Tensor, weight: float) -> HostModel | None:
        """The base following a picture (1, 3, height, width), or None for one without the face that is to be read.

        Raises what applying raises.
        """
        base, settings = self.loaded.model, ApplyOptions(weight=weight)
        if self.analyser is None:
            prompt, _ = encode_prompt(self.clip_vision, Reference(picture), None, EncodeOptions())
            return apply(base, self.adapter, prompt, settings)
        faces = largest_face(self.analyser, picture)
        if faces is None:
            return None
        return apply_face(base, self.adapter, faces, self.clip_vision, settings, FaceOptions())

    def draw(self, model: HostModel, text: str, options: GenerationOptions) -> Tensor:
        """Pictures (n, 3, height, width) in [0, 1]."""
        side = options.resolution // _CELL
        channels = self.loaded.model.get_model_object("latent_format").latent_channels
        latents = torch.zeros(options.pictures, channels, side, side)
        noise = comfy.sample.prepare_noise(latents, options.seed)
        positive, negative = (self._conditioning(words, options.resolution) for words in (text, ""))
        how = (options.steps, options.guidance, _SAMPLER, _SCHEDULER, positive, negative, latents)
        made = comfy.sample.sample(model, noise, *how, disable_pbar=True, seed=options.seed)
        return self.loaded.vae.decode(made).movedim(-1, 1).clamp(0, 1).cpu()

    def _conditioning(self, text: str, resolution: int) -> list[Any]:
        clip = self.loaded.clip
        conditionings = clip.encode_from_tokens_scheduled(clip.tokenize(escaped(text)))
        size = {"width": resolution, "height": resolution}  # which SDXL is told, as in training
        return [[states, {**extra, **size}] for states, extra in conditionings]


def draw_all(
    generator: Generator, references: Sequence[Captioned], options: GenerationOptions, folder: Path
) -> list[str]:
    """A folder for every setting with `a_1.png`, `a_2.png` and so on of the reference `a`; what is there is kept.

    The names of references without a face are given back: of those an adapter that reads faces draws nothing. Raises
    what applying raises, and SettingError for a reference that cannot be read.
    """
    faceless: dict[str, None] = {}
    for weight, text in _settings(options):
        place = folder / f"weight {weight:g}, {text.value} text"
        place.mkdir(parents=True, exist_ok=True)
        for number, reference in enumerate(references, start=1):
            if not _draw_missing(generator, reference, weight, text, options, place):
                faceless[reference.name] = None
            log.info("%s: %d of %d references drawn.", place.name, number, len(references))
    return list(faceless)


def _settings(options: GenerationOptions) -> Iterator[tuple[float, Texts]]:
    yield from ((weight, text) for text in options.texts for weight in options.weights)


def _draw_missing(
    generator: Generator, reference: Captioned, weight: float, text: Texts, options: GenerationOptions, place: Path
) -> bool:
    """Whether the pictures of one reference are there afterwards."""
    files = [place / f"{reference.path.stem}_{n + 1}.png" for n in range(options.pictures)]
    if all(file.is_file() for file in files):
        return True
    model = generator.following(read_case(reference.path), weight)
    if model is None:
        return False
    words = reference.caption if text is Texts.CAPTION else ""
    for picture, file in zip(generator.draw(model, words, options), files, strict=True):
        save_picture(picture, file)
    return True
