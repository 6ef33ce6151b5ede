"""The demo's autoencoder is narrower than the host's tiny one, in which its file is padded with zeros as it is loaded.

The host's class has 64 channels and three blocks at every level. A block of zeros is the identity on what a ReLU has
passed, and channels of zeros stay zero, so a net of fewer channels and blocks fits into it exactly.
"""

from __future__ import annotations

import torch
from comfy.taesd.taesd import TAESD
from torch import Tensor


def padded(narrow: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor of the host's class: those of the file in its corner, and zeros for what the file leaves out."""
    tensors = {name: torch.zeros(tensor.shape, dtype=torch.float16) for name, tensor in TAESD().state_dict().items()}
    for name, tensor in narrow.items():
        tensors[name][tuple(slice(size) for size in tensor.shape)] = tensor
    return tensors
