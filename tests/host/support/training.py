"""What training tests train: the host's UNet class as small as it can be, and samples of noise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from comfy import ops
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from ip_adapter_nodes.ip_adapter.host.denoiser import HostDenoiser
from ip_adapter_nodes.ip_adapter.training.batch import Batch, Text, UncondBatch, joined
from ip_adapter_nodes.ip_adapter.training.config import TrainingConfig
from ip_adapter_nodes.ip_adapter.training.kinds import lora_rank_for, projector_for
from ip_adapter_nodes.ip_adapter.training.loop import Callbacks, Job, Outcome, Training, make_accelerator
from ip_adapter_nodes.ip_adapter.training.noising import Noising, Prediction
from ip_adapter_nodes.models.facts import Kind, Widths

from .small_models import randomise

CONTEXT_WIDTH = 64
FEATURES = {Kind.STANDARD: 48, Kind.FACEID: 512}  # what the projector reads, a vector
_CONFIG = {
    "image_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "channel_mult": [1, 2],
    "num_res_blocks": [1, 1],
    "transformer_depth": [0, 1],
    "transformer_depth_output": [0, 0, 1, 1],
    "transformer_depth_middle": 1,
    "num_head_channels": 16,
    "use_linear_in_transformer": True,
    "context_dim": CONTEXT_WIDTH,
    "use_spatial_transformer": True,
    "legacy": False,
}


def tiny_base(prediction: Prediction = Prediction.NOISE) -> HostDenoiser:
    """Four cross-attentions and SD1.5's noise schedule."""
    unet = UNetModel(**_CONFIG, dtype=torch.float32, device="cpu", operations=ops.disable_weight_init)
    randomise(unet, torch.Generator().manual_seed(0))
    kept = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).cumprod(0)
    return HostDenoiser(unet, Noising.of_sigmas(((1 - kept) / kept).sqrt(), prediction))


@dataclass(frozen=True)
class NoiseSamples:
    """Samples that differ, and are always the same."""

    count: int = 10
    features: int = FEATURES[Kind.STANDARD]

    def __len__(self) -> int:
        return self.count

    def batch(self, numbers: Sequence[int]) -> Batch:
        return joined([self._one(torch.Generator().manual_seed(number)) for number in numbers])

    def _one(self, generator: torch.Generator) -> Batch:
        shapes = ((4, 8, 8), (5, CONTEXT_WIDTH), (self.features,))
        latents, context, image = (torch.randn(1, *shape, generator=generator) for shape in shapes)
        return Batch(latents, Text(context, None), (image,))


def config(output: Path, **settings) -> TrainingConfig:
    nowhere = Path("nowhere")
    values = {"steps": 6, "batch": 2, "save_every": 2, "log_every": 2, "learning_rate": 1e-3, "result": "float32"}
    known = TrainingConfig(nowhere, nowhere, output, 1, image_encoder=nowhere, face_models=nowhere)
    return replace(known, **{name: _typed(known, name, value) for name, value in (values | settings).items()})


def _typed(known: TrainingConfig, name: str, value: object) -> object:
    kind = type(getattr(known, name))
    return kind(value) if isinstance(value, str) else value


def job(chosen: TrainingConfig, held_out: int = 0) -> Job:
    features = FEATURES[chosen.kind]
    nothing = UncondBatch(Text(torch.zeros(1, 5, CONTEXT_WIDTH), None), (torch.zeros(1, features),))
    samples, measured = (NoiseSamples(count, features) for count in (10, held_out))
    projector = projector_for(chosen.kind, Widths(CONTEXT_WIDTH, features))
    rank = lora_rank_for(chosen.kind, chosen.lora_rank)
    return Job(tiny_base(), projector, samples, measured if held_out else None, nothing, chosen, rank)


def train(chosen: TrainingConfig, stop_after: int | None = None, held_out: int = 0) -> tuple[Training, Outcome]:
    """A training from whatever its output folder holds, asked to stop before the step after this one."""
    training = Training(job(chosen, held_out), make_accelerator(chosen, on_cpu=True))
    return training, training.run(Callbacks(should_stop=lambda: training.step == stop_after))
