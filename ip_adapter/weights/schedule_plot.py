"""A picture of a weight schedule: one panel over sampling, and one over frames where it has them."""

from collections.abc import Sequence

from torch import Tensor

from ...models.shapes import Float
from .plot import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, Canvas
from .schedule import WeightSchedule

WIDTH, PANEL, MARGIN, AXIS = 768, 300, 24, 56
_POINTS = 512  # in which a curve over progress is drawn
_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)

Line = Sequence[tuple[float, float]]


def schedule_picture(schedule: WeightSchedule) -> Float[Tensor, "1 3 height 768"]:
    """Factors upwards; over frames one line per picture, in different colours."""
    canvas = Canvas(WIDTH, PANEL * (2 if schedule.curves else 1))
    progress = [(step / _POINTS, schedule.at(step / _POINTS)) for step in range(_POINTS + 1)]
    _draw_panel(canvas, 0, "factor over the progress of sampling", [progress], (0, 0.25, 0.5, 0.75, 1))
    if schedule.curves:
        lines = [list(enumerate(curve)) for curve in schedule.curves]
        of = f" of {len(lines)} pictures" if len(lines) > 1 else ""
        _draw_panel(canvas, PANEL, f"factor{of} over frames", lines, _frame_marks(len(lines[0])))
    return canvas.picture()


def _frame_marks(frames: int) -> list[int]:
    """Up to five numbers of frames from the first to the last."""
    return sorted({round(share * (frames - 1) / 4) for share in range(5)} | {max(1, frames - 1)})


def _draw_panel(canvas: Canvas, top: float, title: str, lines: Sequence[Line], marks: Sequence[float]) -> None:
    factors = [factor for line in lines for _, factor in line]
    low, high = min(0.0, *factors), max(1.0, *factors)
    left, right, roof, floor = AXIS, WIDTH - MARGIN, top + 52, top + PANEL - 36

    def at(place: float, factor: float) -> tuple[float, float]:
        return left + (right - left) * place / marks[-1], floor + (roof - floor) * (factor - low) / (high - low)

    canvas.text((MARGIN, top + 24), title, 17)
    for place in marks:
        canvas.line([at(place, low), at(place, high)], FAINT)
        canvas.text((at(place, 0)[0], floor + 16), f"{place:g}", 14, anchor="mm")
    for factor in sorted({low, 0.0, high / 2, high}):
        canvas.line([at(0, factor), at(marks[-1], factor)], FAINT if factor else INK)
        canvas.text((left - 8, at(0, factor)[1]), f"{factor:.3g}", 14, anchor="rm")
    for index, line in enumerate(lines):
        visible = line if len(line) > 1 else [*line, (marks[-1], line[0][1])]
        canvas.line([at(*point) for point in visible], _COLOURS[index % len(_COLOURS)], 2.5)
