"""Bases and encoders for training, through the host's own loaders: what trains is what runs."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.ldm.modules.attention
import comfy.model_management
import comfy.sd
import torch
from torch import Tensor, nn

from ...models.facts import Widths
from ..adapter import Adapter
from ..errors import SettingError, TrainingError
from ..host import capabilities
from ..host.denoiser import HostDenoiser
from ..host.model import HostClip, HostClipVision, HostModel, HostNetwork, HostVae
from ..training.batch import Batch, Text, UncondBatch
from ..training.config import TrainingConfig
from ..training.kinds import lora_rank_for, projector_for, reads
from ..training.loop import Job
from ..training.noising import Noising, Prediction
from ..training.pictures import centre_crop
from ..training.samples import Samples, held_back
from ..training.start import starting_tensors
from .readers import Reader

_PREDICTIONS = {"EPS": Prediction.NOISE, "V_PREDICTION": Prediction.VELOCITY}
_WEIGHTED = re.compile(r"([()])")  # which the host's text encoders read as weights


@dataclass(frozen=True, eq=False)
class HostCheckpoint:
    """A checkpoint in the host: MODEL, CLIP and VAE."""

    model: HostModel
    clip: HostClip
    vae: HostVae


def load_packs(folders: Sequence[Path]) -> None:
    """Loads custom nodes as the host does at its start. Raises SettingError for one that cannot be loaded."""
    load = import_module("nodes").load_custom_node
    for folder in folders:
        if not asyncio.run(load(str(folder.resolve()))):
            raise SettingError(f"The host could not load the custom nodes in {folder}; its log says why.")


def load_checkpoint(file: Path) -> HostCheckpoint:
    """Raises SettingError for a file that is no checkpoint with UNet, text encoder and autoencoder."""
    load: Any = comfy.sd.load_checkpoint_guess_config
    options = capabilities.static_weights(load)
    try:
        model, clip, vae, _ = load(str(file), **options)
    except RuntimeError as error:
        raise SettingError(f"{file.name} is no checkpoint that this ComfyUI knows ({error}).") from error
    if model is None or clip is None or vae is None:
        raise SettingError(f"Expected a checkpoint with UNet, text encoder and autoencoder; {file.name} lacks one.")
    return HostCheckpoint(model, clip, vae)


def trainable_base(model: HostNetwork, unet: nn.Module) -> HostDenoiser:
    """A host model with its UNet, or a copy of that. Raises TrainingError unless it predicts noise or velocity."""
    prediction = _PREDICTIONS.get(model.model_type.name)
    if prediction is None:
        raise TrainingError(
            f"Expected a base that predicts noise or velocity (SD 1.5, 2 or XL), got one of {model.model_type.name}. "
            "Choose another base."
        )
    further = getattr(model, "concat_keys", ())
    if further:
        raise TrainingError(
            f"Expected a base that sees only noisy latents; this one sees {', '.join(further)} too. Train on "
            "the base it was made from; the adapter works on both."
        )
    return HostDenoiser(unet, Noising.of_sigmas(model.model_sampling.sigmas, prediction), _OPTIONS)


def _exact_attention(_: Any, *arguments: Any, **named: Any) -> Tensor:
    """PyTorch's attention, whose way back is fast on every device; the host's own choice may be made for inference."""
    return comfy.ldm.modules.attention.attention_pytorch(*arguments, **named)


_OPTIONS = {"optimized_attention_override": _exact_attention}


@dataclass(frozen=True, eq=False)
class HostEncoders:
    """The checkpoint's autoencoder and text encoder, and an image encoder, for pictures of one size."""

    loaded: HostCheckpoint
    reader: Reader
    resolution: int
    identity: str

    @torch.no_grad()
    def encode(self, picture: Tensor, caption: str) -> Batch:
        seen = self.reader.see(picture)  # first, because it may find no face
        return Batch(self._latents(picture), self._text(caption), seen)

    @torch.no_grad()
    def nothing(self) -> UncondBatch:
        return UncondBatch(self._text(""), self.reader.nothing())

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (n, 3, height, width) in [0, 1] of what `encode` gives as latents."""
        plain = self.loaded.model.model.process_latent_out(latents)
        return self.loaded.vae.decode(plain).movedim(-1, 1).clamp(0, 1).float().cpu()

    def _latents(self, picture: Tensor) -> Tensor:
        pixels = centre_crop(picture, self.resolution).movedim(1, -1)
        return self.loaded.model.model.process_latent_in(self.loaded.vae.encode(pixels)).float().cpu()

    def _text(self, caption: str) -> Text:
        """A long caption is cut to the tokens that the text encoder sees at once, so that captions fit into a batch."""
        text = self._whole_text(caption)
        return Text(text.context[:, : self._text_length], text.vector)

    @cached_property
    def _text_length(self) -> int:
        return self._whole_text("").context.shape[1]

    def _whole_text(self, caption: str) -> Text:
        clip, model = self.loaded.clip, self.loaded.model.model
        tokens = clip.tokenize(escaped(caption))
        context, pooled = clip.encode_from_tokens(tokens, return_pooled=True)
        size = {"width": self.resolution, "height": self.resolution}
        vector = model.encode_adm(pooled_output=pooled, device=pooled.device, **size) if model.adm_channels else None
        return Text(context.float().cpu(), None if vector is None else vector.float().cpu())


def job_of(
    base: HostDenoiser, encoders: HostEncoders, samples: Samples, config: TrainingConfig, start: Adapter | None = None
) -> Job:
    """All that a training needs. Raises what `held_back` and `starting_tensors` raise."""
    nothing = encoders.nothing()
    widths = Widths(nothing.text.context.shape[-1], 0 if reads(config.kind).stage is None else _width(nothing))
    training, measured = held_back(samples, config.held_out, config.seed)
    if start is None:
        projector, rank = (
            projector_for(config.kind, widths, config.tokens),
            lora_rank_for(config.kind, config.lora_rank),
        )
        return Job(base, projector, training, measured, nothing, config, rank)
    tensors = starting_tensors(start, config.kind, widths, config.lora_rank)
    rank = start.spec.lora_rank or 0
    return Job(base, start.spec.projector, training, measured, nothing, config, rank, tensors)


def _width(nothing: UncondBatch) -> int:
    return nothing.image[-1].shape[-1]


def escaped(caption: str) -> str:
    """The caption with its brackets as text, which the host would take for weights."""
    return _WEIGHTED.sub(r"\\\1", caption)


def load_clip_vision(file: Path) -> HostClipVision:
    """Raises SettingError for a file that is no CLIP vision model the host knows."""
    try:
        model = comfy.clip_vision.load(str(file))
    except (RuntimeError, ValueError, KeyError) as error:
        raise SettingError(f"{file.name} is no image encoder that this ComfyUI knows ({error}).") from error
    if model is None:
        raise SettingError(f"{file.name} is no image encoder that this ComfyUI knows. Name a CLIP vision model.")
    return model


def is_on_cpu() -> bool:
    """Whether the host computes on the processor."""
    return comfy.model_management.get_torch_device().type == "cpu"
