"""Every adapter file in some folders, and what each one is, identified by its tensors."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

from ..adapter import Adapter
from ..bases.base_models import fitting_bases
from ..bases.image_encoders import encoder_name
from ..errors import AdapterFileError, NotAnAdapterError
from ..files.checkpoint import EXTENSIONS
from ..recognition.variant import AUTO
from ..spec import AdapterSpec
from .catalog import identify

_KEPT = 4096


class Status(str, Enum):
    """What can be done with a file."""

    SUPPORTED = "supported"  # the nodes run it
    RELATIVE = "relative"  # a sound file of something else
    DAMAGED = "damaged"  # or not readable


@dataclass(frozen=True)
class Listed:
    """One file. What is not known, or does not apply, is None."""

    file: Path
    status: Status
    kind: str | None = None
    base: str | None = None
    tokens: int | None = None
    encoder: str | None = None  # in words, with the file in which it usually comes
    lora: int | None = None  # rank of the LoRA inside
    decided_by: str | None = None
    name: str | None = None  # in the catalogue, identified by size and sha256
    reason: str | None = None  # why it is not supported
    fits: str | None = None  # bases in words


def load_adapter(path: Path, variant: str = AUTO) -> Adapter:
    """The adapter of a file, whose hash is looked up in the catalogue where only that tells what it is.

    Raises what Adapter.load raises.
    """
    return Adapter.load(path, variant, lambda: _published_kind(path))


def _published_kind(path: Path) -> str | None:
    entry = identify(path)
    return None if entry is None else entry.kind


def inventory(folders: Iterable[Path], report: Callable[[Path], None] = lambda path: None) -> list[Listed]:
    """Every file below `folders` that may be an adapter, in their order. A file that cannot be read is listed as such.

    `report` hears of each file before it is looked at, which takes a while where its hash is needed.
    """
    listed: list[Listed] = []
    for path in dict.fromkeys(path for folder in folders for path in _files(folder)):
        report(path)
        listed.append(examine(path))
    return listed


def examine(path: Path) -> Listed:
    """What a file is. Remembered until the file changes; read are its header and, for a known size, its hash."""
    try:
        facts = path.stat()
    except OSError as error:
        return Listed(path, Status.DAMAGED, reason=f"{path.name} cannot be read ({error.strerror}).")
    return _examined(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(_KEPT)
def _examined(path: Path, size: int, changed: int) -> Listed:
    try:
        entry = identify(path) if path.is_file() else None
    except OSError as error:
        return Listed(path, Status.DAMAGED, reason=f"{path.name} cannot be read ({error.strerror}).")
    name = entry.name if entry else None
    try:
        spec = load_adapter(path).spec
    except NotAnAdapterError as error:
        return Listed(path, Status.RELATIVE, error.kind, error.base, name=name, reason=str(error))
    except AdapterFileError as error:
        return Listed(path, Status.DAMAGED, name=name, reason=str(error))
    return Listed(
        file=path,
        status=Status.SUPPORTED,
        kind=spec.kind.value,
        base=spec.base.value,
        tokens=spec.tokens,
        encoder=encoder_name(spec.stage, spec.feature_width) if spec.stage else None,
        fits=fitting_bases(spec.context_width, len(spec.site_indices), spec.base),
        lora=spec.lora_rank,
        decided_by=spec.decided_by,
        name=name,
    )


def _files(folder: Path) -> Iterator[Path]:
    """Files that may be adapters, links followed but none in a circle; folders called like a file are among them."""
    visited: set[str] = set()
    if not folder.is_dir():
        yield folder
    for current, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(current)
        folders[:] = [] if real in visited else sorted(name for name in folders if name != ".git")
        names = [] if real in visited else [*folders, *files]
        visited.add(real)
        yield from (Path(current, name) for name in sorted(names) if name.lower().endswith(EXTENSIONS))


def summary(spec: AdapterSpec) -> str:
    """As "plus for SDXL ..., 16 tokens, reads CLIP ViT-H/14 (clip_vision_h.safetensors), by tensor shapes"."""
    bases = fitting_bases(spec.context_width, len(spec.site_indices), spec.base)
    encoder = f", reads {encoder_name(spec.stage, spec.feature_width)}" if spec.stage else ""
    faces = ", reads faces" if spec.face else ""
    lora = f", LoRA of rank {spec.lora_rank} inside" if spec.lora_rank else ""
    return f"{spec.kind.value} for {bases}, {spec.tokens} tokens{faces}{encoder}{lora}, by {spec.decided_by}"
