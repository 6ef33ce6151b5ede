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
from ..evaluation.cases import read_case
from ..faces.analysis import largest_face
from ..faces.detection import FaceAnalyser
from ..prompts.encoder import EncodeChoice, Reference
from ..training.pictures import Captioned, save_picture
from .apply import Settings, apply
from .apply_face import FaceSettings, apply_face
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
    """A base, and an adapter with what it reads through: an image encoder, a face analyser, or both."""

    loaded: Loaded
    adapter: Adapter
    clip_vision: Any = None
    analyser: FaceAnalyser | None = None

    def following(self, picture: Tensor, weight: float) -> Any | None:
        """The base following a picture (1, 3, height, width), or None for one without the face that is to be read.

        Raises what applying raises.
        """
        base, settings = self.loaded.model, Settings(weight=weight)
        if self.analyser is None:
            prompt, _ = encode_prompt(self.clip_vision, Reference(picture.movedim(1, -1)), None, EncodeChoice())
            return apply(base, self.adapter, prompt, settings)
        faces = largest_face(self.analyser, picture)
        if faces is None:
            return None
        return apply_face(base, self.adapter, faces, self.clip_vision, settings, FaceSettings())

    def draw(self, model: Any, text: str, protocol: Protocol) -> Tensor:
        """Pictures (n, 3, height, width) in [0, 1]."""
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


def draw_all(artist: Artist, references: Sequence[Captioned], protocol: Protocol, folder: Path) -> list[str]:
    """A folder for every setting with `a_1.png`, `a_2.png` and so on of the reference `a`; what is there is kept.

    The names of references without a face are given back: of those an adapter that reads faces draws nothing. Raises
    what applying raises, and SettingError for a reference that cannot be read.
    """
    faceless: dict[str, None] = {}
    for weight, text in _settings(protocol):
        place = folder / f"weight {weight:g}, {text.value} text"
        place.mkdir(parents=True, exist_ok=True)
        for number, reference in enumerate(references, start=1):
            if not _draw_missing(artist, reference, weight, text, protocol, place):
                faceless[reference.name] = None
            log.info("%s: %d of %d references drawn.", place.name, number, len(references))
    return list(faceless)


def _settings(protocol: Protocol) -> Iterator[tuple[float, Texts]]:
    yield from ((weight, text) for text in protocol.texts for weight in protocol.weights)


def _draw_missing(
    artist: Artist, reference: Captioned, weight: float, text: Texts, protocol: Protocol, place: Path
) -> bool:
    """Whether the pictures of one reference are there afterwards."""
    files = [place / f"{reference.path.stem}_{n + 1}.png" for n in range(protocol.pictures)]
    if all(file.is_file() for file in files):
        return True
    model = artist.following(read_case(reference.path), weight)
    if model is None:
        return False
    words = reference.caption if text is Texts.CAPTION else ""
    for picture, file in zip(artist.draw(model, words, protocol), files, strict=True):
        save_picture(picture, file)
    return True
