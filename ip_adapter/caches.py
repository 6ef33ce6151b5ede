"""Stores of what is computed again and again: bounded, and placed where it is needed."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps up to `size` values, which are cheap to make again: when it is full it starts anew."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        if key not in self._kept:
            if len(self._kept) >= self._size:
                self._kept.clear()
            self._kept[key] = make()
        return self._kept[key]


class PlacedCache:
    """Tensors on every device and in every precision that asked for them, made from those on the CPU on first use."""

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors
        self._placed: dict[tuple[torch.device, torch.dtype], tuple[Tensor, ...]] = {}

    def __len__(self) -> int:
        """In how many further places they are."""
        return len(self._placed)

    def at(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """All of them; the originals where they are there already."""
        place = (device, dtype)
        if all((tensor.device, tensor.dtype) == place for tensor in self.tensors):
            return self.tensors
        if place not in self._placed:
            self._placed[place] = tuple(tensor.to(*place) for tensor in self.tensors)
        return self._placed[place]
