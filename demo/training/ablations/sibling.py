"""A copy of the base, fine-tuned to another look: whether an adapter trained on the base works on it.

Source: Ye et al. 2023 (arXiv 2308.06721), section 4.3.1.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ... import comic
from ... import world as demo_world
from ...judge import AttributeClassifier, read_labels
from ..sibling import load_sibling
from .measured import drawn
from .report import percent
from .shipped_adapter import load_adapter
from .trained import World

CONDITIONS = tuple(f"{base}: {what}" for base in ("base", "sibling") for what in ("text", "reference", "neither"))
Drawn = dict[str, Tensor]  # condition -> pictures (cases, 3, h, w)


def draw_both(world: World) -> Drawn:
    """Every case on the base and on its sibling: by its caption, and after its reference with the same adapter."""
    texts = [demo_world.caption(row) for row in world.cases.labels.tolist()]
    result: Drawn = {}
    for name, base in (("base", world.base), ("sibling", load_sibling(world.base))):
        here, adapter = replace(world, base=base), load_adapter(base)
        result[f"{name}: text"] = drawn(here, texts)
        result[f"{name}: reference"] = drawn(here, [""] * len(texts), adapter)
        result[f"{name}: neither"] = drawn(here, [""] * len(texts))
    return result


def table(world: World, pictures: Drawn, judge: AttributeClassifier) -> str:
    """Agreement in percent, and the share of black, which the new look has more of."""
    lines = ["| condition | shape | colour | texture | background | black |", "|---|---|---|---|---|---|"]
    shown = {
        "the references themselves": demo_world.render(world.cases),
        "the references in the sibling's look": comic.render(world.cases),
        **{name: pictures[name] for name in CONDITIONS},
    }
    for name, made in shown.items():
        right = (read_labels(judge, made) == world.cases.labels).float()
        cells = [*(percent(right[:, attribute]) for attribute in range(4)), percent(comic.blackness(made))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
