"""What this ComfyUI can do that others cannot: asked for by looking, once, and never by its version."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from comfy_api.latest import io

_STATIC = "disable_dynamic"


def _takes(function: Callable[..., Any], parameter: str) -> bool:
    return parameter in signature(function).parameters


KNOWS_ALIASES = _takes(io.Schema, "search_aliases")  # whether its search finds nodes under other names
FOLDS_AWAY = _takes(io.Combo.Input.__init__, "advanced")  # whether it folds away what is rarely needed


def anchor_frame(window: Any) -> int | None:
    """The frame that newer hosts put in front of a context window, whose result they drop; None without one."""
    anchor = getattr(window, "causal_anchor_index", None)
    return None if anchor is None or anchor < 0 else anchor


def static_weights(function: Callable[..., Any]) -> dict[str, bool]:
    """Options that ask a loader, or a model's `clone`, for weights that stay where they are.

    Hosts that move weights in and out while a model runs would take them away from the gradients; others do so anyway.
    """
    return {_STATIC: True} if _takes(function, _STATIC) else {}
