"""The references in demo/pictures are those that the demo world draws."""

import numpy
import pytest
import torch
from ip_adapter_nodes.demo import references
from PIL import Image


@pytest.mark.parametrize("name", sorted(references.references()))
def test_the_committed_picture_is_the_drawn_one(root, name):
    drawn = references.references()[name]
    stored = torch.from_numpy(numpy.array(Image.open(root / "demo" / "pictures" / name))).movedim(-1, 0)
    assert stored.shape == drawn.shape
    assert (stored / 255 - drawn).abs().max() < 1.5 / 255
    assert (root / "demo" / "pictures" / name).stat().st_size < 20_000
