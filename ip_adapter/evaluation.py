"""Pictures against the references and captions they were made from: which belong together, and how scores are told."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .errors import SettingError
from .metrics import Mean, clip_i, clip_t
from .training.pictures import PICTURE_TYPES, Captioned, centre_crop, find_pictures, read_picture, save_picture

_CELL, _ROWS, _COLUMNS = 160, 12, 9


@dataclass(frozen=True)
class Case:
    """A picture that was made, the captioned reference it was made from, and how: the folder it lies in."""

    made: Path
    reference: Captioned
    setting: str = ""


@dataclass(frozen=True)
class Score:
    """The scores of one picture; CLIP-T is None where no text encoder was given or the reference has no caption."""

    case: Case
    clip_i: float
    clip_t: float | None


def find_cases(made: Path, references: Path) -> list[Case]:
    """Every picture of one folder with its reference in the other: `a.png`, `a_1.png` and `a_x.png` belong to `a`.

    Raises SettingError for a picture without a reference, and where there are no pictures.
    """
    known = {reference.path.stem: reference for reference in find_pictures(references)[0]}
    pictures = sorted(path for path in made.rglob("*") if path.suffix.lower() in PICTURE_TYPES)
    owners = [_owner(path.stem, known) for path in pictures]
    strangers = [path.name for path, owner in zip(pictures, owners, strict=True) if owner is None]
    if strangers or not pictures:
        raise SettingError(
            f"Expected pictures in {made} that are named like those in {references}, as a_1.png for a.png; "
            f"{', '.join(strangers[:5]) + ' fit none' if strangers else 'found none'}. Rename or remove them."
        )
    pairs = [(path, known[owner]) for path, owner in zip(pictures, owners, strict=True) if owner is not None]
    return [Case(path, reference, _setting(path, made)) for path, reference in pairs]


def _setting(picture: Path, folder: Path) -> str:
    inner = picture.parent.relative_to(folder).as_posix()
    return "" if inner == "." else inner


def _owner(stem: str, known: dict[str, Captioned]) -> str | None:
    return max((name for name in known if stem == name or stem.startswith(f"{name}_")), key=len, default=None)


def scores(cases: Sequence[Case], images: dict[Path, Tensor], texts: dict[str, Tensor]) -> list[Score]:
    """The scores from features (1, width) of all pictures and, where there is a text encoder, of the captions."""
    result: list[Score] = []
    for case in cases:
        made, text = images[case.made], texts.get(case.reference.caption) if case.reference.caption else None
        similar = float(clip_i(made, images[case.reference.path]))
        result.append(Score(case, similar, None if text is None else float(clip_t(made, text))))
    return result


def markdown(results: Sequence[Score], encoder: str) -> str:
    """Means over the pictures of every setting, with 95 % confidence intervals."""
    lines = ["| setting | pictures | CLIP-I | CLIP-T | encoder |", "|---|---|---|---|---|"]
    for setting in dict.fromkeys(score.case.setting for score in results):
        part = [score for score in results if score.case.setting == setting]
        told = [score.clip_t for score in part if score.clip_t is not None]
        text = str(Mean.of(told)) if told else "not measured"
        lines.append(f"| {setting} | {len(part)} | {Mean.of([x.clip_i for x in part])} | {text} | {encoder} |")
    return "\n".join([*lines, ""])


def table(results: Sequence[Score]) -> str:
    """Every picture's scores as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("setting", "picture", "reference", "caption", "clip_i", "clip_t"))
    for score in results:
        case = score.case
        names = (case.setting, case.made.name, case.reference.path.name, case.reference.caption)
        writer.writerow((*names, score.clip_i, "" if score.clip_t is None else score.clip_t))
    return out.getvalue()


def save_grid(cases: Sequence[Case], file: Path) -> None:
    """A row for each of the first references: the reference, then what was made from it, of every setting in turn."""
    rows: dict[Path, list[tuple[int, Path]]] = {}
    seen: Counter[tuple[Path, str]] = Counter()
    for case in cases:
        path = case.reference.path
        rows.setdefault(path, [(-1, path)]).append((seen[path, case.setting], case.made))
        seen[path, case.setting] += 1
    turns = [[path for _, path in sorted(row, key=lambda entry: entry[0])] for row in list(rows.values())[:_ROWS]]
    lines = [[centre_crop(read_picture(path), _CELL)[0] for path in row[:_COLUMNS]] for row in turns]
    columns = max(map(len, lines))
    white = torch.ones(3, _CELL, _CELL)
    strips = [torch.cat([*line, *[white] * (columns - len(line))], dim=2) for line in lines]
    save_picture(torch.cat(strips, dim=1), file)
