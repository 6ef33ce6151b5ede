"""What a stopped training goes on from: one file that holds all of its state. Nothing random is among it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..errors import SettingError
from .atomic import write_tensors
from .config import TrainingConfig
from .errors import TrainingError
from .trainable import TrainableAdapter

# What may be changed between two starts, since no step depends on it.
_CHANGEABLE = {
    "steps",
    "save_every",
    "log_every",
    "measure_every",
    "draw_every",
    "result",
    "tracker",
    "custom_nodes",
    "output",
}


@dataclass(frozen=True, eq=False)
class Saved:
    """The state after a step."""

    step: int
    tensors: Mapping[str, Tensor]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors under one name."""
        prefix = f"{name}/"
        return {key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)}


@dataclass(frozen=True)
class Surroundings:
    """What has to be as it was for a training to go on, beside its settings."""

    processes: int
    base_weights: str  # a hash: another file may have the base's name

    @classmethod
    def of(cls, adapter: TrainableAdapter, processes: int) -> "Surroundings":
        """For an adapter that has not learned yet, whose matrices are copies of the base's."""
        digest = hashlib.sha256()
        for matrix in adapter.ip_adapter.parameters():
            digest.update(matrix.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return cls(processes, digest.hexdigest()[:16])


def save(file: Path, config: TrainingConfig, saved: Saved, surroundings: Surroundings) -> None:
    """Raises TrainingError when the file cannot be written; the one before is then still there."""
    facts = {"step": saved.step, **asdict(surroundings), "recipe": json.loads(config.recipe())}
    write_tensors(file, dict(saved.tensors), {"training": json.dumps(facts)})


def load(file: Path, config: TrainingConfig, surroundings: Surroundings) -> Saved | None:
    """The state in the file, if there is one. Raises SettingError when it is that of other settings."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            facts = json.loads((opened.metadata() or {})["training"])
            # A copy, because the file that is read from will be replaced.
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise TrainingError(f"{file} cannot be read ({error}). Delete it to start from the beginning.") from error
    _check(file, facts, config, surroundings)
    return Saved(facts["step"], tensors)


def _check(file: Path, facts: Mapping[str, Any], config: TrainingConfig, surroundings: Surroundings) -> None:
    before = {**facts["recipe"], **facts}
    now = {**json.loads(config.recipe()), **asdict(surroundings)}
    changed = [name for name in now if name not in _CHANGEABLE and before.get(name) != now[name]]
    if changed:
        told = ", ".join(f"{name} was {before.get(name)} and is {now[name]}" for name in changed)
        raise SettingError(
            f"{file} belongs to a training with other settings: {told}. Set them as they were, name another output "
            "folder, or delete the file to start from the beginning."
        )


def optimizer_tensors(optimizer: torch.optim.Optimizer, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The optimiser's memory of every parameter, as "parameter/quantity"."""
    for name, parameter in module.named_parameters():
        yield from ((f"{name}/{key}", value) for key, value in optimizer.state[parameter].items())


def restore_optimizer(optimizer: torch.optim.Optimizer, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Gives the optimiser what `optimizer_tensors` took from one like it."""
    numbers = {name: number for number, (name, _) in enumerate(module.named_parameters())}
    state: dict[int, dict[str, Tensor]] = {number: {} for number in numbers.values()}
    for key, value in tensors.items():
        name, quantity = key.rsplit("/", 1)
        state[numbers[name]][quantity] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
