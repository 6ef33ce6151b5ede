"""The losses of a training as a table and as a picture."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

from torch import Tensor

from ...models.shapes import Float
from ..weights.plot import BLUE, FAINT, INK, VERMILION, Canvas
from .atomic import replaced
from .pictures import save_picture

HEADINGS = ("step", "loss", "held_out", "learning_rate")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 800, 420, 70, 20, 40, 45
_LINES = 5


@dataclass(frozen=True)
class Point:
    """The mean loss of the steps since the last point, and that of the held-out pictures where it was measured."""

    step: int
    loss: float | None  # None before the first step
    held_out: float | None
    learning_rate: float


@dataclass
class Curve:
    """The points so far."""

    points: list[Point] = field(default_factory=list[Point])

    @classmethod
    def read(cls, file: Path, last_step: int) -> "Curve":
        """The points in a file up to a step; those behind it belong to steps that a failure has undone."""
        if not file.is_file():
            return cls()
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        points = [
            Point(int(row["step"]), _number(row["loss"]), _number(row["held_out"]), float(row["learning_rate"]))
            for row in rows
        ]
        return cls([point for point in points if point.step <= last_step])

    def write(self, table: Path, picture: Path) -> None:
        """CSV and PNG. Raises TrainingError when one cannot be written."""
        with replaced(table) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(HEADINGS)
            writer.writerows(["" if value is None else value for value in astuple(point)] for point in self.points)
        if self.points:
            with replaced(picture) as part:
                save_picture(plot(self.points)[0], part)


def _number(text: str) -> float | None:
    return float(text) if text else None


def plot(points: Sequence[Point]) -> Float[Tensor, "1 3 height width"]:
    """The losses over the steps, those of the held-out pictures marked."""
    canvas = Canvas(_WIDTH, _HEIGHT)
    losses = [(point.step, point.loss) for point in points if point.loss is not None]
    held_out = [(point.step, point.held_out) for point in points if point.held_out is not None]
    values = [value for _, value in [*losses, *held_out]]
    frame = _Frame(max(1, points[-1].step), min(values), max(values))
    for value in frame.lines():
        canvas.line([frame.place(0, value), frame.place(frame.steps, value)], FAINT)
        canvas.text((_LEFT - 8, frame.place(0, value)[1]), f"{value:.4g}", anchor="rm")
    for step in (0, frame.steps):
        canvas.text((frame.place(step, 0)[0], _HEIGHT - _BOTTOM + 20), str(step), anchor="mm")
    for series, colour, label, left in ((losses, BLUE, "loss", _LEFT), (held_out, VERMILION, "held-out pictures", 200)):
        if series:
            canvas.line([frame.place(*point) for point in series], colour, 2)
            canvas.text((left, _TOP / 2), label, colour=colour)
    canvas.text((_WIDTH / 2, _HEIGHT - _BOTTOM + 20), "steps", colour=INK, anchor="mm")
    return canvas.picture()


@dataclass(frozen=True)
class _Frame:
    steps: int
    low: float
    high: float

    def place(self, step: float, value: float) -> tuple[float, float]:
        share = (value - self.low) / (self.high - self.low or 1)
        x = _LEFT + step / self.steps * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def lines(self) -> Iterator[float]:
        yield from (self.low + (self.high - self.low) * n / (_LINES - 1) for n in range(_LINES))
