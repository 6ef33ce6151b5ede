"""Other names under which people look for a node."""

from inspect import signature
from typing import Any

from comfy_api.latest import io

_KEYWORD = "search_aliases"
_KNOWN = _KEYWORD in signature(io.Schema).parameters


def also_found_as(*names: str) -> dict[str, Any]:
    """Keywords for a node's schema; none where the host's search knows no aliases."""
    return {_KEYWORD: list(names)} if _KNOWN else {}
