"""Keywords of schemas that not every host knows."""

from typing import Any

from ..ip_adapter.host import capabilities


def also_found_as(*names: str) -> dict[str, Any]:
    """Other names under which people look for a node; none where the host's search knows no aliases."""
    return {"search_aliases": list(names)} if capabilities.KNOWS_ALIASES else {}


# For an input that is rarely needed: newer hosts fold it away.
RARE: dict[str, Any] = {"optional": True, **({"advanced": True} if capabilities.FOLDS_AWAY else {})}
