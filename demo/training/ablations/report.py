"""The scores of all variants and seeds as a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from ....ip_adapter.evaluation.metrics import Mean
from ... import world as demo_world
from ...measure import grid
from .measured import SHOWN, Scores
from .variants import DECOUPLED, Variant

Results = Mapping[Variant, Sequence[Scores]]  # the seeds of every variant
_HEADINGS = (
    "variant", "learned", "loss", "shape", "colour", "texture", "background", "all four", "against the first",
    "in place", "text's shape", "picture's colour", "picture's background",
)  # fmt: skip


def percent(cases: Tensor) -> str:
    """The mean over cases (n,) in percent; they are the sample, so the interval says what other cases would do."""
    mean = Mean.of((100 * cases).tolist())
    return f"{mean.value:.0f} ± {mean.margin:.0f}"


def _row(variant: Variant, learned: int, scores: Sequence[Scores], first: Tensor) -> str:
    alone, named = (torch.stack([getattr(one, part) for one in scores]) for part in ("alone", "named"))
    four = alone.mean(dim=(0, 2))
    seeds = (100 * alone.mean(dim=(1, 2))).tolist()
    losses = torch.stack([one.loss for one in scores])
    against = "" if four.equal(first) else _difference(four - first)
    cells = [
        variant.name,
        f"{learned / 1e6:.2f} M",
        f"{losses.mean():.4f} ({losses.min():.4f} to {losses.max():.4f})",
        *(percent(alone[:, :, attribute].mean(dim=0)) for attribute in range(4)),
        f"{percent(four)} ({min(seeds):.0f} to {max(seeds):.0f})",
        against,
        percent(torch.stack([one.place for one in scores]).mean(dim=0)),
        *(percent(named[:, :, part].mean(dim=0)) for part in (0, 2, 4)),
    ]
    return f"| {' | '.join(cells)} |"


def _difference(cases: Tensor) -> str:
    mean = Mean.of((100 * cases).tolist())
    return f"{mean.value:+.1f} ± {mean.margin:.1f}"


def table(results: Results, learned: Mapping[Variant, int]) -> str:
    """A row per variant; cases are averaged over the seeds first, whose range stands in brackets."""
    first = torch.stack([one.alone for one in results[DECOUPLED]]).mean(dim=(0, 2))
    lines = [f"| {' | '.join(_HEADINGS)} |", "|" + "---|" * len(_HEADINGS)]
    lines += [_row(variant, learned[variant], scores, first) for variant, scores in results.items()]
    return "\n".join([*lines, ""])


def pictures(results: Results, cases: demo_world.Scenes) -> Image.Image:
    """Rows: the references; then of every variant's first seed what it drew without a text, and with one."""
    references = demo_world.render(cases.rows(slice(0, SHOWN)))
    rows = [torch.cat([references, references])]
    rows += [torch.cat(list(scores[0].shown)) for scores in results.values()]
    return grid(rows, 2 * SHOWN)
