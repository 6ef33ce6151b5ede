"""CLIP-I and CLIP-T by their definitions, and which pictures they compare."""

import csv
import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.evaluation import find_cases, markdown, save_grid, scores, table
from ip_adapter_nodes.ip_adapter.metrics import Mean, clip_i, clip_t
from PIL import Image


def cosine(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def test_clip_i_is_the_cosine_and_clip_t_the_clip_score(generator):
    made, others = torch.randn(2, 5, 7, generator=generator)
    angles = [cosine(*rows) for rows in zip(made.tolist(), others.tolist(), strict=True)]
    assert min(angles) < 0 < max(angles)
    assert clip_i(made, others).tolist() == pytest.approx(angles, abs=1e-6)
    assert clip_t(made, others).tolist() == pytest.approx([2.5 * max(angle, 0) for angle in angles], abs=1e-6)


def test_a_mean_has_the_margin_of_its_standard_error():
    mean = Mean.of([1.0, 2.0, 3.0, 6.0])
    assert (mean.value, mean.count) == (3.0, 4)
    assert mean.margin == pytest.approx(1.96 * math.sqrt((4 + 1 + 0 + 9) / 3 / 4))
    assert (str(Mean.of([0.5])), str(Mean(0.5, 0.1, 9))) == ("0.500", "0.500 ± 0.100")


@pytest.fixture
def folders(tmp_path):
    for folder in ("made", "references"):
        (tmp_path / folder).mkdir()
    for name in ("made/a.png", "made/a_1.png", "made/a_b_2.png", "references/a.png", "references/a_b.jpg"):
        Image.new("RGB", (20, 10), (200, 10, 10)).save(tmp_path / name)
    (tmp_path / "references" / "a.txt").write_text("a red one", encoding="utf-8")
    return tmp_path / "made", tmp_path / "references"


def test_pictures_find_the_reference_with_the_longest_name(folders):
    cases = find_cases(*folders)
    assert [(case.made.name, case.reference.path.name) for case in cases] == [
        ("a.png", "a.png"),
        ("a_1.png", "a.png"),
        ("a_b_2.png", "a_b.jpg"),
    ]


def test_pictures_without_a_reference_are_named(folders, tmp_path):
    Image.new("RGB", (2, 2)).save(folders[0] / "other.png")
    with pytest.raises(SettingError, match=r"other.png fit none. Rename or remove"):
        find_cases(*folders)
    with pytest.raises(SettingError, match="found none"):
        find_cases(tmp_path / "none", folders[1])


def test_scores_are_told_as_table_and_grid(folders, tmp_path):
    cases = find_cases(*folders)
    images = {path: torch.tensor([[1.0, 0.0]]) for case in cases for path in (case.made, case.reference.path)}
    images[cases[1].made] = torch.tensor([[3.0, 4.0]])
    results = scores(cases, images, {"a red one": torch.tensor([[0.0, 2.0]])})
    assert [score.clip_i for score in results] == pytest.approx([1.0, 0.6, 1.0])
    assert [score.clip_t for score in results] == [0.0, pytest.approx(2.0), None]  # no caption, no CLIP-T
    rows = list(csv.DictReader(table(results).splitlines()))
    assert [(row["picture"], row["caption"], row["clip_t"]) for row in rows][2] == ("a_b_2.png", "", "")
    assert markdown(results, "vision").splitlines()[2].startswith("|  | 3 | 0.867 ± 0.261 | 1.000 ± 1.960 | vision |")
    save_grid(cases, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (3 * 160, 2 * 160)
        assert grid.getpixel((80, 80)) == (200, 10, 10)
        assert grid.getpixel((2 * 160 + 80, 160 + 80)) == (255, 255, 255)
