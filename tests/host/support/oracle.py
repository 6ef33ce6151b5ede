"""Text attention plus image attention at every cross-attention of a run, row by row, with nothing of the pack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from factories import adapter_tensors, make_prompt
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from torch import Tensor

from . import formula
from .calls import Call
from .spy import Spy

BLOCKS = [("input", 4, 0), ("middle", 0, 0), ("output", 11, 0)]  # of SD1.5, one at each depth of its grids
MaskOf = Callable[[Call, int], Tensor]  # the mask over the grid of a call, for one of its rows


@dataclass(frozen=True)
class Oracle:
    """One adapter and one picture for models of a topology."""

    sites: tuple[Site, ...]
    tensors: dict[str, Tensor]
    prompt: Any = field(default_factory=make_prompt)

    @classmethod
    def of(cls, model: Any) -> "Oracle":
        sites = find_sites(model.model.diffusion_model)
        return cls(sites, adapter_tensors(sites))

    def apply(self, model: Any, **settings: Any) -> Any:
        adapter = Adapter.of(TensorDict("test", self.tensors))
        return host.apply(model, adapter, self.prompt, host.ApplyOptions(**settings))

    def expected(self, block: tuple, call: Call, sides: Sequence[int], mask_of: MaskOf | None = None) -> Tensor:
        """What the patch should give, when each row is on the negative (0) or positive (1) side."""
        n = [site.block for site in self.sites].index(block)
        heads = self.sites[n].heads
        tokens = [formula.image_tokens(x, self.tensors) for x in (torch.zeros(1, 1024), self.prompt.positive.pooled)]
        rows = []
        for row, (query, key, value, side) in enumerate(zip(call.query, call.key, call.value, sides, strict=True)):
            strengths = torch.ones(len(tokens[side]))
            image = formula.image_row(query, tokens[side], strengths, self.tensors, n, heads)
            image = image if mask_of is None else mask_of(call, row).reshape(-1, 1) * image
            rows.append(formula.attention(query, key, value, heads) + image)
        return torch.stack(rows)

    def worst(self, spy: Spy, negative: Tensor, mask_of: MaskOf | None = None) -> float:
        """The largest relative error of the calls at BLOCKS; rows whose text is the negative one are on that side."""
        errors = []
        for number, (block, call, given) in enumerate(spy.calls):
            if block in BLOCKS:
                sides = [0 if torch.equal(row, negative) else 1 for row in spy.text_of(number)]
                expected = self.expected(block, call, sides, mask_of)
                errors.append(float((given - expected).norm() / expected.norm()))
        assert errors, "no call was seen"
        return max(errors)
