"""Scores as tables: Markdown for people, CSV for other programs."""

import csv
import io
from collections.abc import Iterator, Sequence

from .measures import Lacking, Metric, Score
from .metrics import Mean

_NAMED = 20  # pictures without a number; the CSV has all


def markdown(scores: Sequence[Score], measures: Sequence[Metric]) -> str:
    """Means over the pictures of every setting, with 95 % confidence intervals, and which pictures they leave out."""
    headings = ["setting", "pictures", *(measure.name for measure in measures)]
    lines = [_row(headings), "|" + "---|" * len(headings)]
    for setting in dict.fromkeys(score.case.setting for score in scores):
        part = [score for score in scores if score.case.setting == setting]
        lines.append(_row([setting, str(len(part)), *(_mean(part, measure.name) for measure in measures)]))
    lines += ["", *(f"- {measure.name}: {measure.by}{_left_out(scores, measure.name)}" for measure in measures)]
    return "\n".join([*lines, ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mean(scores: Sequence[Score], name: str) -> str:
    values = [value for value in (score.values[name] for score in scores) if not isinstance(value, Lacking)]
    if not values:
        return "none"
    return str(Mean.of(values)) + (f" of {len(values)}" if len(values) < len(scores) else "")


def _left_out(scores: Sequence[Score], name: str) -> str:
    lacking = [value for value in (score.values[name] for score in scores) if isinstance(value, Lacking)]
    if not lacking:
        return ""
    where = list(dict.fromkeys(value.where for value in lacking))
    names = ", ".join(where[:_NAMED]) + (", ..." if len(where) > _NAMED else "")
    return f"; leaves out {len(lacking)} of {len(scores)} pictures, because there is no {lacking[0].what} in {names}"


def table(scores: Sequence[Score], measures: Sequence[Metric]) -> str:
    """Every picture's scores as CSV; a cell is empty where there is no number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = (measure.name.lower().replace("-", "_").replace(" ", "_") for measure in measures)
    writer.writerow(("setting", "picture", "reference", "caption", *columns))
    for score in scores:
        case = score.case
        names = (case.setting, case.made.name, case.reference.path.name, case.reference.caption)
        writer.writerow((*names, *_cells(score)))
    return out.getvalue()


def _cells(score: Score) -> Iterator[float | str]:
    yield from ("" if isinstance(value, Lacking) else value for value in score.values.values())
