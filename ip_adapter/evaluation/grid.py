"""Pictures beside their references, each with its scores under it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...models.shapes import Float
from ..training.pictures import centre_crop, read_picture, save_picture
from ..weights.plot import Canvas
from .measures import Lacking, Score

CELL, LINE, GAP = 160, 16, 8  # pixels: side of a picture, height of a line under it, space before the next row
_ROWS, _COLUMNS, _TEXT = 12, 9, 11


def save_grid(scores: Sequence[Score], file: Path) -> None:
    """A row for each of the first references: the reference, then what was made from it, of every setting in turn."""
    rows: dict[Path, list[tuple[int, Score]]] = {}
    seen: Counter[tuple[Path, str]] = Counter()
    for score in scores:
        path, setting = score.case.reference.path, score.case.setting
        rows.setdefault(path, []).append((seen[path, setting], score))
        seen[path, setting] += 1
    height = CELL + LINE * (1 + max(len(score.values) for score in scores)) + GAP
    lines: list[list[Tensor]] = []
    for path, row in list(rows.items())[:_ROWS]:
        turns = [score for _, score in sorted(row, key=lambda entry: entry[0])][: _COLUMNS - 1]
        lines.append([_cell(path, [path.name], height), *(_cell(s.case.made, _told(s), height) for s in turns)])
    columns = max(map(len, lines))
    white = torch.ones(3, height, CELL)
    strips = [torch.cat([*line, *[white] * (columns - len(line))], dim=2) for line in lines]
    save_picture(torch.cat(strips, dim=1), file)


def _told(score: Score) -> list[str]:
    values = score.values.items()
    told = [f"{name}: no {x.what}" if isinstance(x, Lacking) else f"{name} {x:.3f}" for name, x in values]
    return [score.case.setting or score.case.made.name, *told]


def _cell(picture: Path, lines: Sequence[str], height: int) -> Float[Tensor, "3 height width"]:
    canvas = Canvas(CELL, height - CELL)
    for number, line in enumerate(lines):
        canvas.text((3, LINE * (number + 0.5)), line, _TEXT)
    return torch.cat([centre_crop(read_picture(picture), CELL)[0], canvas.picture()[0]], dim=1)
