"""A real detector on real photographs: six people, a portrait, close-ups, masks, and what is drawn."""

import pytest
import torch
from face_models import CenterFace, group, portrait
from ip_adapter_nodes.ip_adapter.errors import FaceError
from ip_adapter_nodes.ip_adapter.faces.alignment import TEMPLATE, similarity
from ip_adapter_nodes.ip_adapter.faces.analysis import FaceAnalysisOptions, analyse
from ip_adapter_nodes.ip_adapter.faces.drawing import CHOSEN, OTHER
from ip_adapter_nodes.ip_adapter.faces.selection import Which
from torch.nn import functional

# Read off the photograph by eye: a point between the eyes and the mouth of each person, from left to right.
PEOPLE = ((115, 340), (318, 220), (515, 360), (785, 425), (935, 150), (1175, 345))
UPPERMOST_FIRST = [4, 1, 0, 5, 2, 3]  # by the middles of the faces


@pytest.fixture(scope="module")
def center_face():
    return CenterFace()


@pytest.fixture(scope="module")
def look(center_face):
    def call(picture, mask=None, size=256, **choice):
        masks = [] if mask is None else [mask[None]]
        return analyse(center_face, [picture[None]], masks, FaceAnalysisOptions(size=size, **choice))

    return call


@pytest.fixture(scope="module")
def everybody(look):
    return look(group(), which=Which.ALL, size=640)


def people(analysis):
    """Which of the six each face is: the one whose point lies in its box, and nobody else's."""
    found = []
    for face in analysis.faces.members:
        left, top, right, bottom = face.place.box
        inside = [who for who, (x, y) in enumerate(PEOPLE) if left < x < right and top < y < bottom]
        assert len(inside) == 1
        found += inside
    return found


def test_all_six_people_are_found_from_left_to_right(everybody):
    assert people(everybody) == [0, 1, 2, 3, 4, 5]
    assert everybody.report.startswith("picture 1 of 1 (1280x886): 6 faces at 640 px; used face 0 (")


def test_every_face_is_upright_in_its_crop(everybody):
    """The crop's own detection lies on the template, to a few of its 224 pixels."""
    for face, crop in zip(everybody.faces.members, everybody.faces.crops, strict=True):
        matrix = similarity(face.place.points, 2 * torch.tensor(TEMPLATE))
        points = face.place.points @ matrix[:, :2].T + matrix[:, 2]
        assert (points - 2 * torch.tensor(TEMPLATE)).norm(dim=1).mean() < 20  # faces half in profile bend it
        assert crop.std() > 0.1


@pytest.mark.parametrize("index", range(6))
def test_each_face_can_be_chosen_by_position(look, index):
    assert people(look(group(), which=Which.LEFT_TO_RIGHT, index=index)) == [index]
    assert people(look(group(), which=Which.TOP_TO_BOTTOM, index=index)) == [UPPERMOST_FIRST[index]]


def test_largest_and_most_confident(look):
    members = look(group(), which=Which.ALL).faces.members
    areas = [float((face.place.box[2:] - face.place.box[:2]).prod()) for face in members]
    scores = [face.score for face in members]
    assert people(look(group(), which=Which.LARGEST)) == [areas.index(max(areas))]
    assert people(look(group(), which=Which.LARGEST, index=5)) == [areas.index(min(areas))]
    assert people(look(group(), which=Which.CONFIDENCE)) == [scores.index(max(scores))]


def test_a_mask_leaves_the_faces_in_it(look):
    """The right half of the picture, as a mask of another size."""
    mask = torch.zeros(10, 20)
    mask[:, 10:] = 1
    assert people(look(group(), mask, which=Which.ALL)) == [3, 4, 5]
    assert people(look(group(), mask, which=Which.LEFT_TO_RIGHT)) == [3]
    with pytest.raises(FaceError, match="no face"):
        look(group(), torch.zeros(4, 4))


def test_embeddings_follow_the_person_and_not_the_place(look, everybody):
    """The right half put before the left: the fourth from the left is the first now."""
    swapped = torch.cat([group()[..., 650:], group()[..., :650]], dim=-1)
    cosines = look(swapped, which=Which.ALL, size=640).faces.normed @ everybody.faces.normed.T
    assert cosines.argmax(1).tolist() == [3, 4, 5, 0, 1, 2]


def close_up(left, top, right, bottom):
    cut = portrait()[None, :, top:bottom, left:right]
    return functional.interpolate(cut, scale_factor=8, mode="bicubic")[0].clamp(0, 1)


@pytest.mark.parametrize(
    ("box", "confidence", "how"),
    [
        ((170, 50, 280, 190), 0.5, "at 640 px;"),
        ((190, 85, 255, 160), 0.8, "at 480 px;"),
        ((195, 90, 255, 150), 0.5, "at 320 px with a margin;"),
    ],
    ids=["a portrait", "a close-up", "eyes to mouth"],
)
def test_close_ups_are_found_further_down_the_ladder(look, box, confidence, how):
    """And each point, moved back, lies next to the same one of the face in the whole photograph."""
    analysis = look(close_up(*box), confidence=confidence, size=640)
    assert how in analysis.report
    whole = look(portrait()).faces.members[0].place.points
    points = analysis.faces.members[0].place.points / 8 + torch.tensor(box[:2])
    assert torch.cdist(points, whole).argmin(1).tolist() == [0, 1, 2, 3, 4]


def test_half_a_face_at_the_border(look):
    half = look(group()[:, :, 110:], which=Which.LEFT_TO_RIGHT, size=640)
    left, _, right, _ = half.faces.members[0].place.box
    assert left < 5 < right < 70
    assert half.faces.crops.shape == (1, 3, 224, 224)
    assert not half.faces.crops[0, :, :, :10].any()  # black where the picture ends


def test_pictures_without_people(look):
    for picture in (torch.zeros(3, 64, 64), portrait()[:, 300:, :120], torch.rand(3, 1, 1)):
        with pytest.raises(FaceError, match="no face"):
            look(picture)


def test_what_is_drawn(look, everybody):
    """Frames in two colours along the boxes, points on the faces, and nothing else changed."""
    analysis = look(group(), which=Which.LEFT_TO_RIGHT, index=2, size=640)
    drawn = analysis.drawn[0][0]
    for number, face in enumerate(everybody.faces.members):
        left, top, right, bottom = face.place.box.round().int().tolist()
        colour = torch.tensor(CHOSEN if number == 2 else OTHER)[:, None]
        for edge in (drawn[:, bottom - 1, left:right], drawn[:, top:bottom, left + 1], drawn[:, top:bottom, right - 1]):
            assert torch.equal(edge, colour.expand_as(edge))
        for x, y in face.place.points.round().int().tolist():
            assert torch.equal(drawn[:, y, x], colour[:, 0])
    changed = (drawn != group()).any(0)
    assert changed[:, :55].sum() == 0
    assert changed[500:].sum() == 0
    assert 0.005 < changed.float().mean() < 0.03
