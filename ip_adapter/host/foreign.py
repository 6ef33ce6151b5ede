"""Our image branches at sites where another pack has put a function of its own after us."""

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..bases.backbone import BlockKey
from .patches import CALLED, Attention, Options, SitePatch

log = logging.getLogger(__name__)
Table = dict[Any, Any]  # the host's replacements of one kind of attention: of one depth, or of a whole block


class Restored:
    """Our branches on top of the function that has taken our place; nothing is added if that function calls ours."""

    def __init__(self, foreign: Attention, ours: SitePatch) -> None:
        self.foreign = foreign
        self.ours = ours
        self.was_lost = False
        self.is_told = False

    def __deepcopy__(self, memo: object) -> "Restored":
        return self

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, options: Options) -> Tensor:
        called: list[SitePatch] = []
        out = self.foreign(query, key, value, {**options, CALLED: called})
        if called:
            return out
        self.was_lost = True
        return self.ours.add_to(out, query, options)


def resolve_patch(table: Mapping[Any, Any], block: BlockKey, ours: SitePatch | None) -> Any:
    """What acts at a site: the entry for its depth, or that for its whole block, with `ours` wherever it stands.

    The host looks at the entry for the depth first, so a function that another pack sets for the whole block would
    never be called where ours is. It becomes our base.
    """
    exact, whole = table.get(block), table.get(block[:2])
    if ours is None or exact is None:
        return exact or whole
    if not isinstance(exact, SitePatch):
        return Restored(exact, ours)
    return exact if whole in (None, exact.base) else SitePatch(whole, exact.branches, exact.added)


class OurPatches:
    """Our patches by block, as they were put into a model."""

    def __init__(self, patches: Mapping[BlockKey, SitePatch]) -> None:
        self._patches = patches
        self._standing: dict[BlockKey, tuple[Any, Any, Any]] = {}

    def restored(self, table: Table) -> Table:
        """What acts at our blocks where it is not what the table holds; the same objects as long as the table does."""
        changed: Table = {}
        for block, ours in self._patches.items():
            exact, whole = table.get(block), table.get(block[:2])
            if exact is None or (isinstance(exact, SitePatch) and (whole is None or whole is exact.base)):
                continue
            known = self._standing.get(block)
            # Compiled models are compiled again for new objects.
            if known is None or known[0] is not exact or known[1] is not whole:
                known = self._standing[block] = (exact, whole, resolve_patch(table, block, ours))
            changed[block] = known[2]
        return changed


def warn_overwritten(restored: Mapping[BlockKey, Any]) -> None:
    """Logs once where another pack has overwritten ours."""
    lost = [block for block, patch in restored.items() if isinstance(patch, Restored) and patch.was_lost]
    untold = [block for block in lost if not restored[block].is_told]
    for block in untold:
        restored[block].is_told = True
    if untold:
        names = ", ".join(" ".join(map(str, block)) for block in untold)
        log.warning(
            "Another node pack has replaced the IP-Adapter at %s; its image branch is added to the result", names
        )
