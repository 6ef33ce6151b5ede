"""The trained adapter as a file that every reader of the published format knows."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..adapter import Adapter
from ..library.conversion import FORMAT
from ..recognition.variant import KIND_METADATA
from .atomic import write_tensors
from .config import Precision, TrainingConfig

_PREFIX = KIND_METADATA.rpartition(".")[0]
DTYPES = {
    Precision.FLOAT32: torch.float32,
    Precision.BFLOAT16: torch.bfloat16,
    Precision.FLOAT16: torch.float16,
}


def export(file: Path, tensors: Mapping[str, Tensor], config: TrainingConfig, step: int) -> Adapter:
    """Writes tensors under published names, with what is known of them as metadata, and reads them back.

    Raises TrainingError when the file cannot be written.
    """
    metadata = {
        "format": FORMAT,
        "kind": config.kind.value,
        "base_file": config.base.name,
        "encoder_file": "" if config.image_encoder is None else config.image_encoder.name,
        "recipe": config.recipe(),
        "steps": str(step),
        "decided_by": "the training",
    }
    stored = {name: tensor.to(DTYPES[config.result]) for name, tensor in tensors.items()}
    write_tensors(file, stored, {f"{_PREFIX}.{key}": value for key, value in metadata.items()})
    return Adapter.load(file)
