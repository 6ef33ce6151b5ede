"""Sweeps of two texts, and the sheet of what was made with them."""

from itertools import pairwise

import pytest
import torch
from ip_adapter_nodes.ip_adapter.attention_maps.labelled_grid import BAND, GAP
from ip_adapter_nodes.ip_adapter.attention_maps.labelled_grid import labelled_grid as sheets_of
from ip_adapter_nodes.ip_adapter.attention_maps.sweep import WeightSweep
from ip_adapter_nodes.ip_adapter.errors import PictureError, SettingError
from ip_adapter_nodes.ip_adapter.weights.weight_types import WEIGHT_TYPES

GOOD = {
    "0, 0.25, 1": (0.0, 0.25, 1.0),
    "0-1:5": (0.0, 0.25, 0.5, 0.75, 1.0),
    "0.1-0.3:3, 2": (0.1, 0.2, 0.3, 2.0),
    "-1-1:3": (-1.0, 0.0, 1.0),
    "-1 - -0.5 :2": (-1.0, -0.5),
    "1-0:2\n.5": (1.0, 0.0, 0.5),
}


@pytest.mark.parametrize(("text", "weights"), GOOD.items())
def test_weights_are_numbers_and_ranges(text, weights):
    assert WeightSweep.parse(text, "linear").weights == weights


def test_cells_are_row_by_row():
    sweep = WeightSweep.parse("0, 0.5", "linear, style transfer\ncomposition,")
    assert sweep.weight_types == ("linear", "style transfer", "composition")
    assert sweep.cells[:3] == [(0.0, "linear"), (0.5, "linear"), (0.0, "style transfer")]
    assert WeightSweep.parse("1", "all").weight_types == tuple(WEIGHT_TYPES)


BAD = {
    "a word": ("0, high", "linear", ("line 1, character 4", "'high'", "0-1:5")),
    "too high": ("0,\n11", "linear", ("line 2, character 1", "-10 to 10", "'11'")),
    "a range too high": ("0-11:3", "linear", ("character 1", "'0-11:3'")),
    "a range of one": ("0-1:1", "linear", ("character 1", "'0-1:1'")),
    "a broken number of weights": ("0-1:2.5", "linear", ("'0-1:2.5'",)),
    "no number of weights": ("0-1", "linear", ("'0-1'",)),
    "no weight": (" ", "linear", ("1 to 256", "0 weights times 1")),
    "no weight type": ("1", ", ", ("1 weights times 0",)),
    "too many": ("0-1:100", "all", ("100 weights times 17",)),
    "an unknown type": ("1", "linear, wobbly", ("'wobbly' as number 2", "style transfer")),
}


@pytest.mark.parametrize(("weights", "types", "named"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_named_with_its_place(weights, types, named):
    with pytest.raises(SettingError) as error:
        WeightSweep.parse(weights, types)
    assert all(part in str(error.value) for part in named)


SWEEP = WeightSweep((0.0, 0.5, 1.0), ("linear", "composition"))


def labelled_grid(images, sweep, size):
    """With height, width and channels in the order in which these tests count."""
    return sheets_of([batch.movedim(-1, 1) for batch in images], sweep, size).movedim(1, -1)


def test_pictures_stand_bitwise_where_their_row_and_column_are(generator):
    batches = [torch.rand(2, 48, 64, 3, generator=generator) for _ in SWEEP.cells]
    sheets = labelled_grid(batches, SWEEP, 64)
    assert sheets.shape == (2, BAND + 2 * (BAND + 48) + GAP, 3 * (64 + GAP) + GAP, 3)
    for number, (weight, kind) in enumerate(SWEEP.cells):
        row, column = SWEEP.weight_types.index(kind), SWEEP.weights.index(weight)
        top, left = 2 * BAND + row * (BAND + 48), GAP + column * (64 + GAP)
        assert torch.equal(sheets[:, top : top + 48, left : left + 64], batches[number])


def test_labels_differ_between_rows_and_columns():
    (sheet,) = labelled_grid([torch.ones(1, 64, 96, 3) for _ in SWEEP.cells], SWEEP, 96)
    columns = [sheet[:BAND, GAP + n * (96 + GAP) :][:, :96] for n in range(3)]
    rows = [sheet[BAND + n * (BAND + 64) :][:BAND] for n in range(2)]
    for labels in (columns, rows):
        assert all((label < 0.5).any() for label in labels)
        assert not any(torch.equal(one, other) for one, other in pairwise(labels))


def test_large_pictures_are_made_smaller_with_their_colours(generator):
    colours = torch.rand(6, 3, generator=generator)
    sheet = labelled_grid([colour.expand(1, 256, 128, 3) for colour in colours], SWEEP, 64)
    cell = sheet[0, 2 * BAND : 2 * BAND + 64, GAP : GAP + 32]
    assert torch.allclose(cell, colours[0].expand_as(cell), atol=1e-6)


def test_pictures_that_do_not_fit_are_named():
    pictures = [torch.zeros(1, 64, 64, 3)] * 6
    with pytest.raises(SettingError, match="each of the 6 cells of the sweep, got 5"):
        labelled_grid(pictures[:5], SWEEP, 64)
    with pytest.raises(PictureError, match=r"\(1, 64, 32\)"):
        labelled_grid([*pictures[:5], torch.zeros(1, 64, 32, 3)], SWEEP, 64)
    with pytest.raises(SettingError, match="64 to 2048 pixels, got 8"):
        labelled_grid(pictures, SWEEP, 8)
