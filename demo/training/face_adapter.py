"""A FaceID-Plus V2 adapter with its LoRA for the demo model, on the frozen UNet and text encoder.

The photograph that the adapter reads is never the picture to be drawn, only one of the same identity, so that what is
learned is who it is and not what the picture looked like.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor
from torch.nn import functional

from ...ip_adapter.faces.face import WIDTH as EMBEDDING
from ...ip_adapter.host.denoiser import replacements
from ...ip_adapter.training.trainable import TrainableAdapter
from ...models.face import FaceConfig
from ...models.face_perceiver import FacePerceiverConfig
from ...models.resampler import ResamplerConfig
from .. import face
from ..clip_vision import CONFIG as VISION_CONFIG
from ..model import UNET
from ..text_encoder import WIDTH
from .adapter import TOKENS
from .face_references import EACH, References
from .frozen import Batch, Captions, frozen_loss
from .latents import Pool
from .low_rank import LowRankOps, add_differences, learned
from .run import Recipe, Run
from .text_to_image import TextToImage

RECIPE = Recipe(
    samples=16_000,
    batch=32,
    learning_rate=1e-3,
    weight_decay=0.01,
    warmup_steps=30,
    decay_from=0.3,
    ema=0.99,
    seed=74,
)
# The face says who it is, so most captions leave that out; nothing but the caption knows the background.
CAPTIONS = Captions(keep=torch.tensor([0.3, 0.3, 0.3, 0.8]), empty=0.1)
NOBODY = 0.1  # chance that there is no face
HIDDEN, RANK = 64, 4
START_STEPS, START_RATE = 1_000, 2e-3
_LAYERS = re.compile(r"(.+)\.attn([12])\.to_(q|k|v|out)(?:\.0)?")
log = logging.getLogger("demo.training")


def _config() -> FacePerceiverConfig:
    width = VISION_CONFIG["hidden_size"]
    perceiver = ResamplerConfig(width, TOKENS, WIDTH, inner_width=WIDTH, heads=1, depth=1, hidden_width=WIDTH)
    return FacePerceiverConfig(FaceConfig(EMBEDDING, HIDDEN, TOKENS, WIDTH), perceiver, shortcut=True)


class TrainableFaceAdapter(TrainableAdapter):
    """Projector, key and value matrices, and a UNet whose attentions learn a difference of low rank."""

    def __init__(self, unet: UNetModel) -> None:
        super().__init__(unet, _config())
        self.net = UNetModel(**UNET, operations=LowRankOps)
        self.net.load_state_dict(unet.state_dict())
        add_differences(self.net, RANK, lambda name: bool(_LAYERS.fullmatch(name)))

    def published(self) -> dict[str, Tensor]:
        """Tensors under the names of the published files, the LoRA among them."""
        own = {name: tensor for name, tensor in super().published().items() if not name.startswith("net.")}
        numbers = {site.path: 2 * index for index, site in enumerate(self.sites)}
        for name, tensor in learned(self.net).items():
            layer, part = name.rsplit(".", 1)
            match = _LAYERS.fullmatch(layer)
            assert match is not None
            number = numbers[match[1]] + int(match[2]) - 1
            own[f"ip_adapter.{number}.to_{match[3]}_lora.{part}.weight"] = tensor
        return own


def _start(model: TrainableFaceAdapter, like: TrainableAdapter, references: References) -> None:
    """Key and value matrices of the adapter for pictures, and tokens near those it makes of each identity.

    An identity's tokens are the mean over its photographs, so that little of their backgrounds is in them.
    """
    model.ip_adapter.load_state_dict(like.ip_adapter.state_dict())
    model.image_proj.get_submodule("norm").load_state_dict(like.image_proj.get_submodule("norm").state_dict())
    with torch.no_grad():
        wanted = like.image_proj(references.pooled.flatten(0, 1)).unflatten(0, (face.COUNT, EACH)).mean(1)
    optimizer = torch.optim.AdamW(model.image_proj.parameters(), lr=START_RATE)
    generator = torch.Generator().manual_seed(RECIPE.seed)
    for step in range(START_STEPS):
        identity, photograph = _drawn(torch.randint(face.COUNT, (64,), generator=generator), generator)
        tokens = model.image_proj(
            references.vectors[identity, photograph], references.features[identity, photograph].float()
        )
        loss = functional.mse_loss(tokens, wanted[identity])
        optimizer.param_groups[0]["lr"] = START_RATE * (1 - step / START_STEPS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            log.info("face adapter start %d/%d loss %.4f of %.4f", step, START_STEPS, loss.item(), wanted.var().item())


def _drawn(identity: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return identity, torch.randint(EACH, identity.shape, generator=generator)


def train(
    folder: Path, base: TextToImage, like: TrainableAdapter, references: References, pool: Pool
) -> TrainableFaceAdapter:
    torch.manual_seed(RECIPE.seed)
    model = TrainableFaceAdapter(base.unet)
    if not (folder / "face_adapter.resume.pt").exists():
        _start(model, like, references)
    run = Run("face_adapter", RECIPE, model, folder)
    pool = pool.plain()  # as the photographs are
    labels = pool.scenes.labels

    def predict(batch: Batch) -> Tensor:
        seen = _drawn(face.identities(labels[batch.rows]), run.generator)
        vectors, features = references.vectors[seen], references.features[seen].float()
        nobody = torch.rand(len(vectors), generator=run.generator) < NOBODY
        vectors = vectors * ~nobody[:, None]
        features = torch.where(nobody[:, None, None], references.nothing, features)
        options = {"patches_replace": {"attn2": replacements(model(vectors, features))}}
        return model.net(batch.noisy, batch.timesteps, context=batch.context, transformer_options=options)

    run.train(frozen_loss(base, pool, run, CAPTIONS, predict), every=20)
    model.load_state_dict(run.average)
    return model.eval()
