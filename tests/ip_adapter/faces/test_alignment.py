"""Crops of faces: against insightface with OpenCV and against Pillow, on real photographs and in any pose."""

import warnings

import numpy
import pytest
import torch
from face_models import group, portrait
from ip_adapter_nodes.ip_adapter.errors import FaceError
from ip_adapter_nodes.ip_adapter.faces.alignment import TEMPLATE, aligned, similarity, square, template_box
from PIL import Image

PHOTOGRAPHS = {"group": group, "portrait": portrait}


def poses(picture, count=12):
    """Five points as a detector finds them: the template turned, scaled, moved and shaken, also across the border."""
    generator = torch.Generator().manual_seed(0)
    extent = torch.tensor([picture.shape[-1], picture.shape[-2]])
    for _ in range(count):
        turn, size, *middle = torch.rand(4, generator=generator).tolist()
        angle, scale = torch.tensor(2 * turn - 1), 0.1 + 3 * size
        matrix = scale * torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
        shake = scale * 3 * torch.randn(5, 2, generator=generator)
        yield (torch.tensor(TEMPLATE) - 56) @ matrix.T + torch.tensor(middle) * extent + shake


def eight_bits(picture):
    return (picture.movedim(0, -1) * 255).round().to(torch.uint8).numpy()


def difference(given, expected):
    """Mean over the crop, in steps of 1/255."""
    return float(abs(given.movedim(0, -1).numpy() * 255 - expected.astype(numpy.float32)).mean())


@pytest.fixture(scope="module")
def norm_crop():
    """insightface's own, on scikit-image and OpenCV; both warn of their future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from insightface.utils import face_align

        yield face_align.norm_crop


@pytest.mark.parametrize("size", [112, 224])
@pytest.mark.parametrize("photograph", PHOTOGRAPHS.values(), ids=PHOTOGRAPHS)
def test_aligned_is_insightfaces_norm_crop(photograph, size, norm_crop):
    picture = photograph()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = [(points, norm_crop(eight_bits(picture), points.numpy(), size)) for points in poses(picture)]
    worst = max(difference(aligned(picture, points, size), expected) for points, expected in pairs)
    assert worst <= 0.5
    assert any((expected == 0).all(axis=-1).any() for _, expected in pairs), "no pose reached over the border"


@pytest.mark.parametrize("photograph", PHOTOGRAPHS.values(), ids=PHOTOGRAPHS)
def test_square_is_what_pillow_cuts_for_kolors(photograph):
    picture = photograph()
    whole = Image.fromarray(eight_bits(picture))
    for points in poses(picture):
        (left, top), (right, bottom) = points.amin(0).tolist(), points.amax(0).tolist()
        x, y, half = (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top) / 2
        expected = whole.crop((x - half, y - half, x + half, y + half)).resize((336, 336))
        given = square(picture, torch.tensor([left, top, right, bottom]), 336)
        assert difference(given, numpy.asarray(expected)) <= 0.5


def test_crops_are_in_steps_of_a_byte():
    picture, points = portrait(), torch.tensor(TEMPLATE) * 3
    for crop in (aligned(picture, points, 224), square(picture, torch.tensor([9.0, 9.0, 60.0, 80.0]), 336)):
        assert torch.equal(crop, (crop * 255).round() / 255)
        assert 0 <= crop.min() < crop.max() <= 1


def test_similarity_is_the_least_squares_one(generator):
    """Against NumPy's general solver on the same four unknowns, for points that no similarity maps exactly."""
    points, onto = torch.randn(2, 5, 2, generator=generator)
    x, y = points.T
    zero, one = torch.zeros(5), torch.ones(5)
    unknowns = torch.cat([torch.stack([x, -y, one, zero], 1), torch.stack([y, x, zero, one], 1)])
    (a, b, across, down), *_ = numpy.linalg.lstsq(unknowns.numpy(), onto.T.flatten().numpy(), rcond=None)
    expected = torch.tensor([[a, -b, across], [b, a, down]])
    assert torch.allclose(similarity(points, onto), expected, atol=1e-5)


def test_the_template_lies_in_the_middle_of_its_own_box():
    """Turned by a quarter, doubled and moved by (10, 20), the 112 pixel square becomes 224 pixels wide."""
    x, y = torch.tensor(TEMPLATE).T
    points = 2 * torch.stack([112 - y, x], dim=1) + torch.tensor([10.0, 20.0])
    assert torch.allclose(template_box(points), torch.tensor([10.0, 20.0, 234.0, 244.0]), atol=1e-3)


def test_points_that_coincide_cannot_be_aligned():
    with pytest.raises(FaceError, match="coincide"):
        aligned(portrait(), torch.full((5, 2), 7.0), 112)


@pytest.mark.parametrize("picture", [(1, 1), (1, 300), (300, 1), (2, 3)], ids=str)
def test_pictures_of_any_size_can_be_cut(picture):
    white = torch.ones(3, *picture)
    crop = aligned(white, torch.tensor(TEMPLATE), 112)
    assert crop.shape == (3, 112, 112)
    assert crop[0, 0, 0] == 1  # the template's own corner is the picture's
    far = torch.tensor([-9.0, -9.0, 9.0, 9.0]) + 400
    assert not square(white, far, 336).any()
    assert square(white, far - 400, 336).amax() == 1


def test_a_box_without_extent_is_one_pixel():
    picture = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1))
    pixel = square(picture, torch.tensor([2.0, 5.0, 2.0, 5.0]), 336)
    assert torch.equal(pixel, (picture[:, 5:6, 2:3] * 255).round().expand(3, 336, 336) / 255)
