"""Files that are written whole or not at all, so that whatever ends the process leaves the last good one."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..errors import TrainingError


@contextmanager
def replaced(file: Path) -> Generator[Path, None, None]:
    """A path to write to, which becomes the file in the end. Raises TrainingError when that fails."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(file)
    except (OSError, RuntimeError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise TrainingError(
            f"{file} cannot be written ({error}). What was saved before is kept: make room and start again."
        ) from error


def write_tensors(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """A safetensors file. Raises TrainingError when it cannot be written."""
    with replaced(file) as part:
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, part, metadata)
