"""What every stage of the demo training shares: a sample-counted run that survives being stopped."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from . import parallel

log = logging.getLogger("demo.training")


@dataclass(frozen=True)
class Recipe:
    """How one stage trains. Everything is counted in samples, so that a stopped run resumes on the same curve."""

    samples: int
    batch: int
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    warmup_steps: int = 0
    decay_from: float = 0.0  # the share of the run after which the rate falls linearly to zero
    ema: float = 0.0
    clip: float = 1.0
    seed: int = 0

    def rate(self, done: float, step: int) -> float:
        """Learning rate after a share of the run in [0, 1]."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return self.learning_rate * warm * min(1.0, (1 - done) / max(1e-9, 1 - self.decay_from))


class Run:
    """Steps an optimiser over `loss(step)` until the recipe's samples are spent; saves every `interval` seconds."""

    def __init__(self, name: str, recipe: Recipe, model: nn.Module, folder: Path, interval: float = 120.0) -> None:
        self.name, self.recipe, self.model, self.interval = name, recipe, model, interval
        self.file = folder / f"{name}.resume.pt"
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            parameters, lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
        )
        self.average = {k: v.clone() for k, v in model.state_dict().items()}
        self.generator = torch.Generator().manual_seed(recipe.seed + 1000 * parallel.rank())
        self.batch = recipe.batch // parallel.count()
        self.step = 0
        if self.file.exists():
            self._load()

    def train(self, loss: Callable[[], Tensor], report: Callable[[], str] | None = None, every: int = 500) -> None:
        steps = math.ceil(self.recipe.samples / self.recipe.batch)
        started = saved = time.monotonic()
        running = 0.0
        first = self.step
        while self.step < steps:
            value = self._advance(loss, self.step / steps)
            running = value if self.step == first + 1 else 0.98 * running + 0.02 * value
            if self.step % every == 0 or self.step == steps:
                speed = (self.step - first) * self.recipe.batch / (time.monotonic() - started)
                note = f" {report()}" if report else ""
                log.info(
                    "%s %d/%d loss %.4f %.0f samples/s, %.1f min left%s",
                    self.name, self.step, steps, running, speed,
                    (steps - self.step) * self.recipe.batch / speed / 60, note,
                )  # fmt: skip
            if time.monotonic() - saved > self.interval or self.step == steps:
                self._save()
                saved = time.monotonic()

    def _advance(self, loss: Callable[[], Tensor], done: float) -> float:
        rate = self.recipe.rate(done, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        value = loss()
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        parallel.average_gradients(self.model.parameters())
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.step += 1
        # A young average follows fast, or it would still hold the random start.
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, current in self.model.state_dict().items():
                self.average[key].lerp_(current, 1 - keep)
        return value.item()

    def _save(self) -> None:
        if parallel.rank():
            return
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
        }
        partial = self.file.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(self.file)

    def _load(self) -> None:
        state = torch.load(self.file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        if parallel.rank():
            self.generator.manual_seed(self.recipe.seed + 1000 * parallel.rank() + self.step)
        else:
            self.generator.set_state(state["generator"])
        log.info("%s resumes at step %d", self.name, self.step)


def _narrow(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype.itemsize == 1 else tensor.half()


def save_weights(path: Path, tensors: dict[str, Tensor], recipes: Iterable[tuple[str, Recipe]], **facts: str) -> None:
    """Safetensors in float16, or in eight bits where given so, whose metadata says how the weights were made."""
    metadata = {"format": "pt", **facts} | {f"recipe.{name}": json.dumps(asdict(recipe)) for name, recipe in recipes}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: _narrow(v.detach()).contiguous() for k, v in tensors.items()}, path, metadata)
    log.info("wrote %s (%.2f MB)", path, path.stat().st_size / 1e6)
