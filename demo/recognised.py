"""Files of the demo family that the host's own loaders would not know."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

Tensors = dict[str, Any]


def recognise(
    module: ModuleType, name: str, is_demo: Callable[[Tensors], bool], load: Callable[[Tensors], Any]
) -> None:
    """Lets a loading function of the host, which takes tensors first, hand the demo's to `load`. Once only."""
    original = getattr(module, name)
    if getattr(original, "knows_demo", False):
        return

    @wraps(original)
    def loading(tensors: Tensors, *args: Any, **kwargs: Any) -> Any:
        return load(tensors) if is_demo(tensors) else original(tensors, *args, **kwargs)

    loading.knows_demo = True  # type: ignore[attr-defined]
    setattr(module, name, loading)
