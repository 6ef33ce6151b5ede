"""Several processes that train one model: each takes a share of every batch, gradients are averaged.

On two cores two processes of one thread each are faster than one process of two, and suffer less from other programs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import distributed, nn


def join(rank: int, count: int, meeting_point: Path) -> None:
    """Joins `count` processes that all name the same file, which must not exist before."""
    if count > 1:
        distributed.init_process_group("gloo", init_method=f"file://{meeting_point}", rank=rank, world_size=count)


def count() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces every gradient by its mean over the processes."""
    if count() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= count()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
