"""Groups of cross-attentions, as people type them into a text field."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..bases.backbone import BlockKey, Site
from ..bases.backbones import block_name, block_of, blocks_of
from ..errors import SettingError
from ..weights.layer_weights import Layers

EACH = "each"  # in place of a group: every block by itself


@dataclass(frozen=True)
class LayerGroup:
    """Some cross-attentions of a model, under the name that they were asked for by."""

    name: str
    sites: frozenset[BlockKey]


def read_groups(text: str, sites: Sequence[Site]) -> list[LayerGroup]:
    """A group for every line, of layers by name as "in4, mid, out0-2"; all layers where there is no line.

    Raises SettingError with the line of a name that cannot be read or that the model does not have.
    """
    lines = [(row, line.strip()) for row, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return [group for row, line in lines or [(1, "all")] for group in _groups(line, row, sites)]


def _groups(line: str, row: int, sites: Sequence[Site]) -> list[LayerGroup]:
    blocks = blocks_of(sites)
    if line.lower() == EACH:
        return [
            LayerGroup(block_name(block), frozenset(site.block for site in sites if block_of(site) == block))
            for block in blocks
        ]
    names = [name.strip() for name in line.split(",") if name.strip()]
    meant = [_meant(name, row, sites) for name in names]
    return [LayerGroup(", ".join(names), frozenset().union(*meant))]


def _meant(name: str, row: int, sites: Sequence[Site]) -> set[BlockKey]:
    blocks = blocks_of(sites)
    try:
        layers = Layers.named(name)
    except SettingError:
        layers = None
    found = {site.block for site in sites if layers and layers.hold(site, blocks.index(block_of(site)))}
    if not found:
        raise SettingError(
            f"At line {row}: expected layers as in4, mid, out0-2 or all, or {EACH} for every block by itself, got "
            f"{name!r}. The model has {', '.join(map(block_name, blocks))}."
        )
    return found
