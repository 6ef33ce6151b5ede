"""Text against picture: whose shape is drawn as the adapter's weight goes from 0 to 1.

Source: Ye et al. 2023 (arXiv 2308.06721), section 4.3.4 (multimodal prompts).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from PIL import Image
from torch import Tensor

from ....ip_adapter.evaluation.metrics import Mean
from ....ip_adapter.weights.plot import BLUE, FAINT, GREEN, INK, ORANGE, VERMILION, Canvas
from ...judge import AttributeClassifier, read_labels
from ...measure import other_shapes
from .measured import drawn, other_texts
from .report import percent
from .shipped_adapter import load_adapter
from .trained import World

NAMES = ("text's shape", "picture's shape", "colour", "texture", "background")
WEIGHTS = tuple(step / 8 for step in range(9))
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 420, 56, 24, 48, 48
_COLOURS = {"text's shape": BLUE, "picture's shape": VERMILION, "colour": ORANGE, "background": GREEN}


@dataclass(frozen=True)
class Balance:
    """Of every weight and case what came out, 0 or 1 each, (weights, cases)."""

    curves: dict[str, Tensor]

    def crossings(self) -> int:
        """How often the means of text's and picture's shape change places."""
        ahead = (self.curves["text's shape"] - self.curves["picture's shape"]).mean(dim=1) > 0
        return int((ahead[1:] != ahead[:-1]).sum())

    def steps_back(self) -> list[str]:
        """Where a curve goes the wrong way by more than the two intervals allow: falls, or rises for the text's."""
        found: list[str] = []
        for name, values in self.curves.items():
            sign = -1 if name == "text's shape" else 1
            means = [Mean.of(row.tolist()) for row in values]
            for place, (before, after) in enumerate(pairwise(means)):
                if sign * (before.value - after.value) > before.margin + after.margin:
                    found.append(f"{name} from weight {WEIGHTS[place]} to {WEIGHTS[place + 1]}")
        return found


def measured(world: World, judge: AttributeClassifier) -> Balance:
    """Draws every case at every weight, with a text that names another shape than its reference has."""
    texts, others, own = other_texts(world), other_shapes(world.cases), world.cases.labels
    rows: list[Tensor] = []
    for weight in WEIGHTS:
        read = read_labels(judge, drawn(world, texts, load_adapter(world.base, weight)))
        rows.append(torch.stack([read[:, 0] == others, *(read == own).unbind(1)]).float())
    values = torch.stack(rows, dim=1)
    return Balance(dict(zip(NAMES, values, strict=True)))


def table(balance: Balance) -> str:
    lines = [f"| weight | {' | '.join(NAMES)} |", "|---|" + "---|" * len(NAMES)]
    for place, weight in enumerate(WEIGHTS):
        lines.append(f"| {weight} | {' | '.join(percent(balance.curves[name][place]) for name in NAMES)} |")
    verdict = "; ".join(balance.steps_back()) or "none"
    return "\n".join([*lines, "", f"Crossings: {balance.crossings()}. Steps back beyond the intervals: {verdict}.", ""])


def _place(weight: float, share: float) -> tuple[float, float]:
    return (
        _LEFT + weight * (_WIDTH - _LEFT - _RIGHT),
        _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM),
    )


def plot(balance: Balance) -> Image.Image:
    """The curves with their 95 % intervals."""
    canvas = Canvas(_WIDTH, _HEIGHT)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        canvas.line([_place(0, share), _place(1, share)], FAINT)
        canvas.text((_LEFT - 8, _place(0, share)[1]), f"{share:.0%}", anchor="rm")
        canvas.text((_place(share, 0)[0], _HEIGHT - _BOTTOM + 20), f"{share:g}", anchor="mm")
    for number, (name, colour) in enumerate(_COLOURS.items()):
        means = [Mean.of(row.tolist()) for row in balance.curves[name]]
        canvas.line([_place(weight, mean.value) for weight, mean in zip(WEIGHTS, means, strict=True)], colour, 2)
        for weight, mean in zip(WEIGHTS, means, strict=True):
            low, high = max(0.0, mean.value - mean.margin), min(1.0, mean.value + mean.margin)
            canvas.line([_place(weight, low), _place(weight, high)], colour)
        canvas.text((_LEFT + 150 * number, _TOP / 2), name, colour=colour)
    canvas.text((_WIDTH / 2, _HEIGHT - 10), "weight", colour=INK, anchor="mm")
    return Image.fromarray((canvas.picture()[0].movedim(0, -1) * 255).round().to(torch.uint8).numpy())
