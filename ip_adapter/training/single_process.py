"""One process on one device, without any library: what the loop asks of `accelerate`, for a node in a running host."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn


class Alone:
    """Computes where it is told, in the base's precision, and gathers the gradients of some batches to a step.

    Not for float16, whose small gradients vanish unless the loss is scaled.
    """

    num_processes, process_index, is_main_process = 1, 0, True

    def __init__(self, device: torch.device, accumulation: int = 1) -> None:
        self.device, self._accumulation, self._batches = device, accumulation, 0

    @property
    def sync_gradients(self) -> bool:
        """Whether the batch at hand is the last one of a step."""
        return self._batches % self._accumulation == 0

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, "_EveryStep"]:
        return module, _EveryStep(self, optimizer)

    def accumulate(self, _: nn.Module) -> AbstractContextManager[None]:
        self._batches += 1
        return nullcontext()

    def autocast(self) -> AbstractContextManager[None]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        (loss / self._accumulation).backward()

    def clip_grad_norm_(self, parameters: Any, largest: float) -> Tensor:
        return nn.utils.clip_grad_norm_(parameters, largest)

    def reduce(self, tensor: Tensor, _: str) -> Tensor:
        return tensor


class _EveryStep:
    """An optimiser that acts on the last batch of a step."""

    def __init__(self, alone: Alone, optimizer: torch.optim.Optimizer) -> None:
        self._alone, self._optimizer = alone, optimizer

    def step(self) -> None:
        if self._alone.sync_gradients:
            self._optimizer.step()

    def zero_grad(self) -> None:
        if self._alone.sync_gradients:
            self._optimizer.zero_grad()
