"""Scores as Markdown, CSV and a grid: with a column for what was measured, and the gaps named."""

import csv
import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.evaluation.cases import find_cases
from ip_adapter_nodes.ip_adapter.evaluation.grid import CELL, GAP, LINE, save_grid
from ip_adapter_nodes.ip_adapter.evaluation.measures import (
    Lacking,
    Metric,
    Score,
    image_prompt_similarity,
    measured,
    text_prompt_similarity,
)
from ip_adapter_nodes.ip_adapter.evaluation.report import markdown, table
from PIL import Image


@pytest.fixture
def scored(folders):
    """Of three pictures the second is another one, and the third has no caption to be compared with."""
    cases = find_cases(*folders)
    images = {path: torch.tensor([[1.0, 0.0]]) for case in cases for path in (case.made, case.reference.path)}
    images[cases[1].made] = torch.tensor([[3.0, 4.0]])
    texts = {"a red one": torch.tensor([[0.0, 2.0]])}
    measures = [
        image_prompt_similarity(images.__getitem__, "vision"),
        text_prompt_similarity(images.__getitem__, texts.__getitem__, "words"),
    ]
    return measured(cases, measures), measures


def test_what_cannot_be_measured_has_no_number(scored):
    assert [score.values["CLIP-I"] for score in scored[0]] == pytest.approx([1.0, 0.6, 1.0])
    lacking = Lacking("caption", "a_b.jpg (reference)")
    assert [score.values["CLIP-T"] for score in scored[0]] == [0.0, pytest.approx(2.0), lacking]


def test_the_csv_has_every_picture_and_an_empty_cell_for_a_gap(scored):
    rows = list(csv.DictReader(table(*scored).splitlines()))
    assert [(row["picture"], row["caption"], row["clip_t"]) for row in rows][2] == ("a_b_2.png", "", "")
    assert [float(row["clip_i"]) for row in rows] == pytest.approx([1.0, 0.6, 1.0])


def test_means_leave_gaps_out_and_say_so(scored):
    heading, _, row, _, *notes = markdown(*scored).splitlines()
    assert heading == "| setting | pictures | CLIP-I | CLIP-T |"
    margins = [1.96 * math.sqrt(variance) for variance in (0.16 / 3 / 3, 2 / 2)]
    assert row == f"|  | 3 | 0.867 ± {margins[0]:.3f} | 1.000 ± {margins[1]:.3f} of 2 |"
    gap = "leaves out 1 of 3 pictures, because there is no caption in a_b.jpg (reference)"
    assert notes == ["- CLIP-I: vision", f"- CLIP-T: words; {gap}"]


def test_of_many_gaps_the_first_are_named(folders):
    cases = find_cases(*folders)
    faceless = Metric("face similarity", "faces", lambda case: 0.0)
    gaps = [Score(cases[0], {"face similarity": Lacking("face", f"{number}.png")}) for number in range(30)]
    *_, row, _, note = markdown(gaps, [faceless]).splitlines()
    assert row == "|  | 30 | none |"
    assert note.startswith("- face similarity: faces; leaves out 30 of 30 pictures, because there is no face in 0.png,")
    assert note.endswith("18.png, 19.png, ...")


def test_the_grid_has_a_row_for_each_reference_and_a_line_for_each_measure(scored, tmp_path):
    save_grid(scored[0], tmp_path / "grid.png")
    height = CELL + 3 * LINE + GAP
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (3 * CELL, 2 * height)
        assert grid.getpixel((80, 80)) == (200, 10, 10)
        assert grid.getpixel((2 * CELL + 80, height + 80)) == (255, 255, 255)
        bands = [grid.crop((left, CELL, left + CELL, height)).convert("L") for left in (CELL, 2 * CELL)]
    assert all(band.getextrema()[0] < 100 for band in bands)
    assert bands[0].tobytes() != bands[1].tobytes()
