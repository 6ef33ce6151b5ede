"""Any layout of an adapter to the published one, as safetensors with what is known of it in the metadata."""

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file

from ..adapter import Adapter
from ..errors import AdapterError
from ..files.stamps import sha256_of
from ..recognition.variant import AUTO, KIND_METADATA
from .inventory import load_adapter

FORMAT = "1"
_PREFIX = KIND_METADATA.rpartition(".")[0]


class ConversionError(AdapterError):
    """The converted file cannot be written."""


def convert(path: Path, out: Path, variant: str = AUTO) -> Adapter:
    """Write the adapter at `path` to `out` under canonical names, its LoRA included, and return it as read from there.

    The values stay bitwise as they are. Raises ConversionError when `out` exists or cannot be written, and what
    Adapter.load raises.
    """
    adapter = load_adapter(path, variant)
    if os.path.lexists(out):
        raise ConversionError(f"{out} is there already and was left as it is. Name another file.")
    with adapter.source.open() as read:
        tensors = {name: read(name).contiguous() for name in adapter.source.shapes}
    part = out.with_name(f"{out.name}.part")
    try:
        save_file(tensors, part, _metadata(adapter, path))
        os.replace(part, out)
    except (OSError, RuntimeError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise ConversionError(f"{out} cannot be written ({error}). Name another file or folder.") from error
    return load_adapter(out)


def _metadata(adapter: Adapter, path: Path) -> dict[str, str]:
    spec = adapter.spec
    known = {"format": FORMAT, "kind": spec.kind.value, "base": spec.base.value, "decided_by": spec.decided_by}
    return {
        **adapter.source.metadata,
        **{f"{_PREFIX}.{key}": value for key, value in known.items()},
        f"{_PREFIX}.source_sha256": sha256_of(path),
    }
