"""The training loop: any base, any samples, one process or several, and the same end however often it is stopped."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from ...models.facts import ProjectorConfig
from ..errors import TrainingError
from .batch import UncondBatch
from .config import Precision, Tracker, TrainingConfig
from .curve import Curve, Point
from .drops import Drops
from .export import DTYPES, export
from .loss import Denoiser, Objective, Weighting
from .noise import Draw, Order, draw
from .optimizer import make_optimizer, optimizer_tensors, restore_optimizer
from .samples import Samples
from .saved import Saved, Surroundings, load, save
from .tracking import Tracking
from .trainable import TrainableAdapter

RESULT, STATE, TABLE, PICTURE = "ip_adapter.safetensors", "resume.safetensors", "loss.csv", "loss.png"
_MIXED = {Precision.FLOAT32: "no", Precision.BFLOAT16: "bf16", Precision.FLOAT16: "fp16"}
_MEASURED = "held-out"  # in place of the seed of the run, so that every training measures on the same noise


class Outcome(str, Enum):
    """How a training ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"  # and saved: the next start goes on


@dataclass(frozen=True, eq=False)
class Job:
    """What is trained, and on what."""

    base: Denoiser
    projector: ProjectorConfig
    samples: Samples
    held_out: Samples | None
    nothing: UncondBatch
    config: TrainingConfig
    lora_rank: int = 0  # 0 trains no LoRA
    start: Mapping[str, Tensor] | None = None  # tensors of an adapter to go on from, by their published names


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training is; the time is an estimate in seconds."""

    point: Point
    steps: int
    seconds_left: float


@dataclass(frozen=True)
class Callbacks:
    """Who is told of the progress and of every step, and who can ask a training to stop after the step it is at."""

    report: Callable[[TrainingProgress], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False
    stepped: Callable[[int], None] = lambda _: None


def make_accelerator(config: TrainingConfig, on_cpu: bool) -> Any:
    """Where and in which precision to compute: one process, or all those that `accelerate launch` has started."""
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise TrainingError("Training needs accelerate. Install it: pip install accelerate.") from error
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision=_MIXED[config.precision],
        gradient_accumulation_steps=config.accumulation,
        log_with=None if config.tracker is Tracker.NONE else config.tracker.value,
        project_dir=str(config.output),
    )
    if config.tracker is not Tracker.NONE and not accelerator.log_with:
        name = config.tracker.value
        raise TrainingError(f"Expected {name} to be installed. Install it: pip install {name}; or leave tracker out.")
    return accelerator


class Training:
    """One run of a job, from the state in its output folder if there is one."""

    def __init__(self, job: Job, accelerator: Any) -> None:
        config = job.config
        self.job, self.config, self.accelerator = job, config, accelerator
        self.device: torch.device = accelerator.device
        job.base.unet.to(self.device, DTYPES[config.precision])
        if config.recompute:
            job.base.recompute_blocks()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            adapter = TrainableAdapter(job.base.unet, job.projector, job.lora_rank).to(self.device)
        self.surroundings = Surroundings.of(adapter, accelerator.num_processes)
        if job.start is not None:
            adapter.go_on_from(job.start)
        self.objective = Objective(adapter, job.base, job.nothing.to(self.device), config.weighting)
        self.optimizer = make_optimizer(self.objective, config.learning_rate, config.weight_decay)
        self.average = {name: tensor.clone() for name, tensor in adapter.published().items()} if config.ema else {}
        self.order = Order(len(job.samples), config.seed)
        self.window = torch.zeros(2, device=self.device)  # sum and number of the losses since the last point
        self.step = self._restore()
        self.curve = Curve.read(config.output / TABLE, self.step)
        self.tracking = Tracking(accelerator, config.tracker)
        self._shared, self._stepper = accelerator.prepare(self.objective, self.optimizer)

    def run(self, watch: Callbacks) -> Outcome:
        """Trains to the last step, or until asked to stop; saves, and writes the adapter, in either case.

        Raises TrainingError when the disk is full or the loss is NaN or infinite.
        """
        self.tracking.start(self.step)
        self.train(watch)
        self.save()
        if self.accelerator.is_main_process:
            export(self.config.output / RESULT, self.weights(), self.config, self.step)
        self.accelerator.end_training()
        return Outcome.FINISHED if self.step >= self.config.steps else Outcome.INTERRUPTED

    def train(self, watch: Callbacks) -> None:
        """Trains to the last step, or until asked to stop, saving only at the intervals."""
        started, first = time.monotonic(), self.step
        if self.step == 0 and self.job.held_out is not None:
            self._record(Point(0, None, self.held_out_loss(), self._rate()))
        while self.step < self.config.steps and not self._stops(watch):
            self._advance()
            if self._is_due(self.config.log_every):
                seconds = (time.monotonic() - started) / (self.step - first) * (self.config.steps - self.step)
                watch.report(TrainingProgress(self._point(), self.config.steps, seconds))
            if self.step % self.config.save_every == 0:
                self.save()
            watch.stepped(self.step)

    def weights(self) -> dict[str, Tensor]:
        """The trained tensors under their published names: the moving average, where one is kept."""
        return self.average or self.objective.adapter.published()

    def held_out_loss(self) -> float | None:
        """The mean loss of the held-out pictures, with nothing dropped and all timesteps weighted alike."""
        samples = self.job.held_out
        if samples is None:
            return None
        losses: list[Tensor] = []
        for start in range(0, len(samples), self.config.batch):
            numbers = range(start, min(start + self.config.batch, len(samples)))
            batch = samples.batch(numbers).to(self.device)
            with torch.no_grad(), self.accelerator.autocast():
                drawn = self._draw(_MEASURED, numbers, batch.latents)
                losses.append(self.objective.per_sample(batch, drawn, Weighting(Drops(0, 0, 0))))
        return float(torch.cat(losses).mean())

    def save(self) -> None:
        """Writes state and curve. Raises TrainingError when they cannot be written, or hold NaN or infinity."""
        self._check_losses()
        if self.accelerator.is_main_process:
            parts = {
                "weights": self.objective.adapter.published(),
                "average": self.average,
                "optimizer": dict(optimizer_tensors(self.optimizer, self.objective.adapter)),
                "window": {"losses": self.window},
            }
            tensors = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
            self.curve.write(self.config.output / TABLE, self.config.output / PICTURE)
            save(self.config.output / STATE, self.config, Saved(self.step, tensors), self.surroundings)
        self.accelerator.wait_for_everyone()

    def _restore(self) -> int:
        saved = load(self.config.output / STATE, self.config, self.surroundings)
        if saved is None:
            return 0
        self.objective.adapter.load_state_dict(saved.part("weights"))
        self.average = {name: tensor.to(self.device) for name, tensor in saved.part("average").items()}
        restore_optimizer(self.optimizer, self.objective.adapter, saved.part("optimizer"))
        self.window = saved.part("window")["losses"].to(self.device)
        return saved.step

    def _stops(self, watch: Callbacks) -> bool:
        """Whether any process was asked to: they stop together, or those that go on would wait for the others."""
        asked = watch.should_stop()
        if self.accelerator.num_processes == 1:
            return asked
        return bool(self.accelerator.reduce(torch.tensor(float(asked), device=self.device), "sum"))

    def _advance(self) -> None:
        """One step of the optimiser."""
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for places in self._places():
            batch = self.job.samples.batch(self.order(places)).to(self.device)
            with self.accelerator.accumulate(self._shared):
                loss = self._shared(batch, self._draw(self.config.seed, places, batch.latents))
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients and self.config.largest_gradient:
                    self.accelerator.clip_grad_norm_(self._shared.parameters(), self.config.largest_gradient)
                self._stepper.step()
                self._stepper.zero_grad()
            self.window += torch.stack([loss.detach(), torch.ones_like(loss)])
        self.step += 1
        # A young average follows fast, or it would still hold the random start.
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, tensor in self.objective.adapter.published().items() if self.average else ():
            self.average[name].lerp_(tensor, 1 - keep)

    def _places(self) -> Iterator[range]:
        """The places in the run of this process's samples, batch by batch: the processes share what one would take."""
        size, count = self.config.batch, self.accelerator.num_processes
        for number in range(self.step * self.config.accumulation, (self.step + 1) * self.config.accumulation):
            start = (number * count + self.accelerator.process_index) * size
            yield range(start, start + size)

    def _draw(self, seed: int | str, places: range, latents: Tensor) -> Draw:
        return draw(seed, places, latents.shape[1:], len(self.job.base.noising)).to(self.device)

    def _rate(self) -> float:
        warm = self.config.warmup_steps
        return self.config.learning_rate * (min(1.0, (self.step + 1) / warm) if warm else 1.0)

    def _is_due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _point(self) -> Point:
        self._check_losses()
        total, count = self.accelerator.reduce(self.window, "sum").tolist()
        self.window.zero_()
        held_out = self.held_out_loss() if self._is_due(self.config.measure_every) else None
        return self._record(Point(self.step, total / count, held_out, self._rate()))

    def _record(self, point: Point) -> Point:
        self.curve.points.append(point)
        self.tracking.tell(point)
        return point

    def _check_losses(self) -> None:
        if not bool(self.window.isfinite().all()):
            raise TrainingError(
                f"The loss is NaN or infinite at step {self.step}. Lower learning_rate, or set precision to bfloat16 "
                f"or float32. {self.config.output / STATE} holds the last state that was saved."
            )
