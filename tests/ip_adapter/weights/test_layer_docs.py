"""docs/layer_weights.md shows the tables that the code computes."""

import pytest
from ip_adapter_nodes.ip_adapter.bases.backbones import block_name, blocks_of
from ip_adapter_nodes.ip_adapter.bases.base_models import BASE_SITES
from ip_adapter_nodes.ip_adapter.bases.unet import composition_blocks, style_blocks
from ip_adapter_nodes.ip_adapter.weights.layer_weights import LayerWeights
from ip_adapter_nodes.ip_adapter.weights.weight_types import WEIGHT_TYPES, Direction


def cell(strength) -> str:
    if not strength.factor:
        return ""
    return f"{'away ' if strength.direction is Direction.AWAY else ''}{strength.factor:.3g}"


def weight_types(base: str) -> str:
    """A row per weight type, a column per block."""
    sites = BASE_SITES[base]
    blocks = blocks_of(sites)
    firsts = [next(n for n, site in enumerate(sites) if site.block[:2] == block) for block in blocks]
    rows = [["weight type", *map(block_name, blocks)], ["---"] * (len(blocks) + 1)]
    for weight_type in WEIGHT_TYPES:
        strengths = LayerWeights((), weight_type).at(sites)
        rows.append([weight_type, *(cell(strengths[n]) for n in firsts)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def places() -> str:
    """Where the blocks of style and composition are, by base."""
    rows = ["| base | style | composition |", "| --- | --- | --- |"]
    for base, sites in BASE_SITES.items():
        blocks = blocks_of(sites)
        shares = composition_blocks(blocks)
        composition = [f"{block_name(block)} ({shares[block]:g})" for block in blocks if block in shares]
        rows.append(f"| {base} | {', '.join(map(block_name, style_blocks(blocks)))} | {', '.join(composition)} |")
    return "\n".join(rows)


TABLES = {
    "SDXL": weight_types("SDXL"),
    "Stable Diffusion 1.5": weight_types("Stable Diffusion 1.5"),
    "places": places(),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_are_those_of_the_code(root, table):
    """To renew a table, copy the one that the failure shows."""
    assert table in (root / "docs" / "layer_weights.md").read_text(encoding="utf-8")
