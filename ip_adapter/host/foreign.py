"""What other packs put in a model after us."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Addition:
    """A function that another pack adds to what stands at a site, with its settings."""

    function: Callable[..., Tensor]
    settings: Mapping[str, Any]

    def to(self, out: Tensor, query: Tensor, key: Tensor, value: Tensor, options: Mapping[str, Any]) -> Tensor:
        """`out + function(out, ..)` where the noise level lies between the settings' `sigma_end` and `sigma_start`."""
        start, end = (self.settings.get(name) for name in ("sigma_start", "sigma_end"))
        if start is not None and end is not None and not end <= float(options["sigmas"][0]) <= start:
            return out
        return out + self.function(out, query, key, value, options, **self.settings).to(out.dtype)
