"""Everything that can be reached from an object, as digests by path, to show that nothing was changed."""

import hashlib
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_ATOMS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
_OPAQUE = (type, types.ModuleType, types.BuiltinFunctionType)


def digests(root: Any) -> dict[str, str]:
    """A digest of each leaf under `root` by its path: values of atoms and tensors, identities of everything else."""
    return {path: _digest(value) for path, value in _walk("model", root, set())}


def tensor_bytes(*roots: Any) -> int:
    """Bytes of all different tensor storages that can be reached from the roots together."""
    seen: set[int] = set()
    storages: dict[int, int] = {}
    for root in roots:
        for _, value in _walk("", root, seen):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _digest(value: Any) -> str:
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy() if value.numel() else b""
        return f"{value.dtype} {tuple(value.shape)} {hashlib.blake2b(content).hexdigest()}"
    return repr(value) if isinstance(value, _ATOMS) else f"{type(value).__name__} {id(value)}"


def _walk(path: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, _ATOMS):
        if id(value) in seen:
            yield f"{path} (seen)", _Reference(value)
            return
        seen.add(id(value))
    yield path, value
    for name, child in _children(value):
        yield from _walk(f"{path}.{name}", child, seen)


class _Reference(str):
    """Stands for an object that was visited under another path: only which one it is."""

    def __new__(cls, value: Any) -> "_Reference":
        return super().__new__(cls, id(value))


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (Tensor, *_ATOMS, *_OPAQUE)):
        return
    if isinstance(value, dict):
        yield from ((repr(key), child) for key, child in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield "length", len(value)
        yield from ((str(index), child) for index, child in enumerate(value))
    elif isinstance(value, types.FunctionType):
        yield from ((f"cell{n}", cell.cell_contents) for n, cell in enumerate(value.__closure__ or ()))
    elif isinstance(value, types.MethodType):
        yield "self", value.__self__
    else:
        yield from getattr(value, "__dict__", {}).items()
