"""What a stopped training resumes from: one file that holds all of its state. Nothing random is among it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import SettingError, TrainingError
from .atomic import write_tensors
from .config import TrainingConfig
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
        for pair in adapter.key_values:
            for matrix in (pair.to_k_ip.weight, pair.to_v_ip.weight):
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
