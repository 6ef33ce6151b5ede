"""What a frozen layer learns to do differently: the LoRA that lies inside FaceID files.

Source: Hu et al. 2021 (arXiv 2106.09685); with the start and the scale of 1 that published files were trained with,
https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/attention_processor_faceid.py
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..faces.lora import LAYERS


class LowRank(nn.Module):
    """Adds `up(down(x))`, zero at first, to what a linear layer makes of x, for as long as the layer lives."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        width, reach = layer.weight.shape
        self.down, self.up = nn.Linear(reach, rank, bias=False), nn.Linear(rank, width, bias=False)
        nn.init.normal_(self.down.weight, std=1 / rank)
        nn.init.zeros_(self.up.weight)
        # A hook, not a changed weight: the base stays as it is, and a weight of its size is never computed.
        layer.register_forward_hook(self._added)

    def forward(self, x: Tensor) -> Tensor:
        down, up = (matrix.weight.to(x.dtype) for matrix in (self.down, self.up))
        return functional.linear(functional.linear(x, down), up)

    def _added(self, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + self(inputs[0])


class AttentionLora(nn.Module):
    """The low-rank differences of one attention's four layers, under their published names; none for rank 0."""

    def __init__(self, attention: Any, rank: int) -> None:
        super().__init__()
        for part, layer in LAYERS.items() if rank else ():
            self.add_module(f"to_{part}_lora", LowRank(attention.get_submodule(layer), rank))
