"""What a training step costs, against the reference's loop written plainly, and with one and two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import comfy
import comfy.model_management
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..ip_adapter.bases.backbones import find_sites
from ..ip_adapter.tasks.training import trainable_base
from ..ip_adapter.training.batch import Batch, Text, UncondBatch
from ..ip_adapter.training.config import TrainingConfig
from ..ip_adapter.training.kinds import projector_for
from ..ip_adapter.training.loop import Callbacks, Job, Training, make_accelerator
from ..ip_adapter.training.loss import Base
from ..ip_adapter.training.single_process import Alone
from ..models.facts import Kind, Widths
from ..models.linear import LinearConfig, LinearProjector
from .memory import peak
from .models import make_model
from .sampling import interleaved_seconds

_BATCH, _TEXT, _WIDTH, _FEATURES = 4, 77, 768, 1024
_SIDES = (16, 32)  # of latents: 128 and 256 pixels
# What a CPU computes for other programs meanwhile is not counted.
_CLOCK = time.perf_counter if torch.cuda.is_available() else time.process_time
_STEPS = 4  # of a process
_NEVER = 2**62  # steps
_BOOTSTRAP = Path(__file__).resolve().parent.parent / "launcher" / "bootstrap.py"
_LAUNCH = "--multi_gpu --num_machines 1 --mixed_precision no --dynamo_backend no --main_process_port 0"


@dataclass(frozen=True)
class _Noise:
    """Encoded samples in memory, so that only the loop is measured."""

    side: int

    def __len__(self) -> int:
        return 64

    def batch(self, numbers: Sequence[int]) -> Batch:
        generator = torch.Generator().manual_seed(numbers[0])
        shapes = ((4, self.side, self.side), (_TEXT, _WIDTH), (_FEATURES,))
        latents, text, image = (torch.randn(len(numbers), *shape, generator=generator) for shape in shapes)
        return Batch(latents, Text(text, None), (image,))


def _base(channels: int) -> Base:
    """SD1.5's topology, as a training gets it from a checkpoint."""
    model = make_model("SD1.5", channels).model
    return trainable_base(model, model.diffusion_model)


def _job(base: Base, folder: Path, side: int) -> Job:
    nowhere = Path("nowhere")
    config = TrainingConfig(
        nowhere, nowhere, folder, _NEVER, image_encoder=nowhere, batch=_BATCH, save_every=_NEVER, log_every=_NEVER
    )
    nothing = UncondBatch(Text(torch.zeros(1, _TEXT, _WIDTH), None), (torch.zeros(1, _FEATURES),))
    return Job(base, projector_for(Kind.STANDARD, Widths(_WIDTH, _FEATURES)), _Noise(side), None, nothing, config)


def _ours(base: Base, folder: Path, side: int) -> Callable[[], object]:
    training = Training(_job(base, folder, side), Alone(comfy.model_management.get_torch_device()))

    def step() -> None:
        before = training.step
        training.train(Callbacks(should_stop=lambda: training.step > before))

    return step


def _decoupled(heads: int, key: nn.Module, value: nn.Module, tokens: Tensor) -> Callable[..., Tensor]:
    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    def attend(q: Tensor, k: Tensor, v: Tensor, _: Any) -> Tensor:
        text = functional.scaled_dot_product_attention(split(q), split(k), split(v))
        image = functional.scaled_dot_product_attention(split(q), split(key(tokens)), split(value(tokens)))
        return (text + image).transpose(1, 2).flatten(2)

    return attend


def _plain(base: Base, side: int) -> Callable[[], object]:
    """One step of https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/tutorial_train.py on encoded samples.

    As there, PyTorch's attention in every block, and AdamW as it comes. Left out is what only costs: the encoders that
    it runs at every step, `accelerate`, and the log.
    """
    device, unet, sites = comfy.model_management.get_torch_device(), base.unet, find_sites(base.unet)
    projector = LinearProjector(LinearConfig(_FEATURES, 4, _WIDTH)).to(device)
    matrices = nn.ModuleList(
        nn.ModuleList(nn.Linear(_WIDTH, site.width, bias=False, device=device) for _ in range(2)) for site in sites
    )
    optimizer = torch.optim.AdamW([*projector.parameters(), *matrices.parameters()], lr=1e-4, weight_decay=0.01)
    samples, signal = _Noise(side), base.noising.signal.to(device)

    def step() -> None:
        batch = samples.batch(range(_BATCH)).to(device)
        noise, timesteps = torch.randn_like(batch.latents), torch.randint(1000, (_BATCH,), device=device)
        scale = signal[timesteps, None, None, None]
        noisy = scale * batch.latents + (1 - scale.square()).sqrt() * noise
        image = batch.image[0] * (torch.rand(_BATCH, 1) >= 0.1).to(device)
        tokens = projector(image)
        attention = {
            site.block: _decoupled(site.heads, *pair, tokens) for site, pair in zip(sites, matrices, strict=True)
        }
        options = {**base.options, "patches_replace": {"attn2": attention}}
        made = unet(noisy, timesteps.float(), context=batch.text.context, transformer_options=options)
        loss = functional.mse_loss(made.float(), noise)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    return step


def training(rounds: int, channels: int = 64) -> list[tuple[str, str]]:
    """Steps of SD1.5's topology at `channels`, with batches of 4, in float32."""
    rows: list[tuple[str, str]] = []
    with torch.inference_mode(False), tempfile.TemporaryDirectory() as folder:
        base = _base(channels)
        for side in _SIDES:
            runs = {"plain": _plain(base, side), "ours": _ours(base, Path(folder), side)}
            rows.append((f"training steps per second, ours against the plain loop, {8 * side} px", _told(runs, rounds)))
        for name, run in runs.items():
            with peak() as seen:
                run()
            rows.append((f"peak of memory during a training step, {8 * side} px, {name}", f"+{max(seen):.0f} MiB"))
    return [*rows, *_with_processes(channels)]


def _told(runs: dict[str, Callable[[], object]], rounds: int) -> str:
    """The median of many rounds: the difference is smaller than what one round is off by."""
    seconds = interleaved_seconds(runs, 4 * rounds, _CLOCK)
    ratios = [plain / ours for plain, ours in zip(seconds["plain"], seconds["ours"], strict=True)]
    return f"{median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rounds)"


def _with_processes(channels: int) -> Iterator[tuple[str, str]]:
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            launcher = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(count)]
            program = [str(_BOOTSTRAP), str(Path(comfy.__path__[0]).parent), __name__.split(".", 1)[1]]
            command = [*launcher, *_LAUNCH.split()[0 if count > 1 else 1 :], *program, folder, str(channels)]
            subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
            speed = float(json.loads(Path(folder, "speed.json").read_text("utf-8")))
        yield (
            f"pictures trained on per second, {count} process{'es' * (count > 1)}, 1 thread each",
            f"{speed:.2f}",
        )


def main(arguments: Sequence[str]) -> None:
    """One process of `accelerate launch`: trains, and writes pictures per second of all processes into the folder."""
    folder, channels = Path(arguments[0]), int(arguments[1])
    torch.set_num_threads(1)
    job = _job(_base(channels), folder, _SIDES[-1])
    accelerator = make_accelerator(job.config, comfy.model_management.get_torch_device().type == "cpu")
    loop = Training(job, accelerator)
    loop.train(Callbacks(should_stop=lambda: loop.step >= 1))
    started = time.perf_counter()
    loop.train(Callbacks(should_stop=lambda: loop.step > _STEPS))
    seconds = time.perf_counter() - started
    if accelerator.is_main_process:
        pictures = _STEPS * _BATCH * accelerator.num_processes
        Path(folder, "speed.json").write_text(json.dumps(pictures / seconds), encoding="utf-8")
