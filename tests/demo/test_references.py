"""The references in demo/pictures are those that the demo world draws."""

import numpy
import pytest
import torch
from ip_adapter_nodes.demo import references, world
from ip_adapter_nodes.ip_adapter.training.pictures import find_pictures
from PIL import Image


@pytest.mark.parametrize("name", sorted(references.references()))
def test_the_committed_picture_is_the_drawn_one(root, name):
    drawn = references.references()[name]
    stored = torch.from_numpy(numpy.array(Image.open(root / "demo" / "pictures" / name))).movedim(-1, 0)
    assert stored.shape == drawn.shape
    assert (stored / 255 - drawn).abs().max() < 1.5 / 255
    assert (root / "demo" / "pictures" / name).stat().st_size < 20_000


def test_the_pictures_to_train_on_have_their_captions(root):
    folder = root / "demo" / "pictures" / references.INK
    pictures, account = find_pictures(folder)
    labels = references.drawn_things().labels.tolist()
    assert [picture.caption for picture in pictures] == [world.caption(label) for label in labels]
    assert account.without_caption == account.without_picture == []
