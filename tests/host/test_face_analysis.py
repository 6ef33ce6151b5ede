"""From pictures to faces with a detector whose finds are known: choice, missing faces, batches, bad input."""

from dataclasses import replace

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import FaceError, PictureError, SettingError
from ip_adapter_nodes.ip_adapter.faces.alignment import TEMPLATE
from ip_adapter_nodes.ip_adapter.faces.analysis import FaceAnalysisOptions, Missing
from ip_adapter_nodes.ip_adapter.faces.analysis import analyse as analyse_pictures
from ip_adapter_nodes.ip_adapter.faces.detection import LADDER, Detections
from ip_adapter_nodes.ip_adapter.faces.face import Recogniser
from ip_adapter_nodes.ip_adapter.faces.selection import Which
from ip_adapter_nodes.ip_adapter.host.images import ImageRows, as_image
from ip_adapter_nodes.ip_adapter.prompts.preprocess import NEUTRAL


def analyse(analyser, images, masks, options, tick=lambda: None):
    """Of host IMAGEs, as they come in on a wire."""
    found = analyse_pictures(analyser, [ImageRows(image) for image in images], masks, options, tick)
    return replace(found, drawn=tuple(as_image(drawn) for drawn in found.drawn))


class RedSpots:
    """Finds a face of 20 x 20 pixels at each pixel that is exactly red; the embedding is the colour in the middle."""

    recogniser = Recogniser("red spots")

    def __init__(self, sizes=range(10_000)):
        self.sizes, self.asked = sizes, []

    def detect(self, picture, size, confidence):
        self.asked.append((size, *picture.shape[-2:]))
        red = (picture == torch.tensor([1.0, 0.0, 0.0])[:, None, None]).all(0)
        y, x = red.nonzero(as_tuple=True) if size in self.sizes else (torch.empty(0, dtype=torch.long),) * 2
        middle = torch.stack([x, y], dim=1).float()
        points = middle[:, None] + (torch.tensor(TEMPLATE) - 56) / 5
        return Detections(torch.cat([middle - 10, middle + 10], 1), points, torch.linspace(0.9, 0.6, len(x)))

    def embed(self, faces):
        return faces[:, :, 56, 56].repeat_interleave(200, 1)[:, :512]


def picture(*spots, size=(60, 90), channels=3):
    image = torch.full((1, *size, 3), 0.5)
    for x, y in spots:
        image[0, y, x] = torch.tensor([1.0, 0.0, 0.0])
    return image if channels == 3 else torch.cat([image, torch.ones(1, *size, 1)], dim=-1)


BATCH = torch.cat([picture((20, 20)), picture(), picture((70, 30))])


def places(analysis):
    return [[round(float(value)) for value in face.place.box[:2] + 10] for face in analysis.faces.members]


def test_a_picture_without_a_face_in_a_batch_is_an_error_by_name():
    with pytest.raises(FaceError, match=r"picture 2 of 3 \(90x60\): no face"):
        analyse(RedSpots(), [BATCH], [], FaceAnalysisOptions())


def test_skip_keeps_the_order_and_says_which():
    analysis = analyse(RedSpots(), [BATCH], [], FaceAnalysisOptions(missing=Missing.SKIP))
    assert [face.picture for face in analysis.faces.members] == [0, 2]
    assert places(analysis) == [[20, 20], [70, 30]]
    assert analysis.faces.skipped == (1,)
    lines = analysis.report.splitlines()
    assert [line.split(" (")[0] for line in lines] == ["picture 1 of 3", "picture 2 of 3", "picture 3 of 3"]
    assert lines[1].endswith("no face; skipped")
    assert analysis.drawn[0].shape == BATCH.shape


def test_neutral_keeps_one_face_per_picture():
    faces = analyse(RedSpots(), [BATCH], [], FaceAnalysisOptions(missing=Missing.NEUTRAL)).faces
    assert [face.picture for face in faces.members] == [0, 1, 2]
    assert [face.found for face in faces.members] == [True, False, True]
    assert not faces.embeddings[1].any()
    assert not faces.normed[1].any()
    assert torch.allclose(faces.crops[1], torch.tensor(NEUTRAL)[:, None, None].expand(3, 224, 224), atol=1 / 255)


def test_nobody_anywhere():
    nobody = torch.cat([picture(), picture()])
    with pytest.raises(FaceError, match="picture 1 of 2") as error:
        analyse(RedSpots(), [nobody], [], FaceAnalysisOptions(missing=Missing.SKIP))
    assert "picture 2 of 2" in str(error.value)
    assert len(analyse(RedSpots(), [nobody], [], FaceAnalysisOptions(missing=Missing.NEUTRAL)).faces) == 2


def test_an_index_beyond_the_faces_is_a_missing_face():
    two = picture((20, 20), (70, 30))
    with pytest.raises(FaceError, match="2 faces at 640 px, so there is no face 2"):
        analyse(RedSpots(), [two], [], FaceAnalysisOptions(index=2))


def test_pictures_of_different_sizes_come_back_as_they_were():
    images = [picture((20, 20)), torch.cat([picture((30, 30), size=(50, 50))] * 2), picture((9, 9), channels=4)]
    analysis = analyse(RedSpots(), images, [], FaceAnalysisOptions())
    assert [face.picture for face in analysis.faces.members] == [0, 1, 2, 3]
    assert places(analysis) == [[20, 20], [30, 30], [30, 30], [9, 9]]
    assert [tuple(drawn.shape) for drawn in analysis.drawn] == [(1, 60, 90, 3), (2, 50, 50, 3), (1, 60, 90, 3)]


def test_grey_pictures_are_three_equal_channels():
    seen = []
    analyser = RedSpots()
    analyser.detect = lambda picture, *others: seen.append(picture) or RedSpots().detect(picture, *others)
    with pytest.raises(FaceError):
        analyse(analyser, [torch.rand(1, 8, 8, 1)], [], FaceAnalysisOptions())
    assert torch.equal(seen[0][0], seen[0][2])


def test_sixty_faces():
    crowd = picture(*((x, y) for x in range(20, 620, 50) for y in range(20, 270, 50)), size=(300, 640))
    analysis = analyse(RedSpots(), [crowd], [], FaceAnalysisOptions(which=Which.ALL))
    assert len(analysis.faces) == 60
    assert [x for x, _ in places(analysis)] == sorted(x for x, _ in places(analysis))
    assert analysis.faces.crops.shape == (60, 3, 224, 224)
    assert "60 faces" in analysis.report


@pytest.mark.parametrize("spot", [(0, 0), (89, 59), (0, 30)])
def test_faces_half_outside(spot):
    analysis = analyse(RedSpots(), [picture(spot)], [], FaceAnalysisOptions())
    assert places(analysis) == [list(spot)]
    assert torch.allclose(analysis.faces.embeddings[0, :200], torch.tensor(1.0), atol=0.02)  # the spot is in the middle


def test_the_ladder_ends_with_margins_and_maps_them_back():
    """Found only at 320 pixels with a margin: every rung before it was tried, and the box is where the spot is."""
    analyser = RedSpots()
    plain = analyser.detect
    analyser.detect = lambda picture, size, confidence: plain(picture, size if picture.shape[-1] > 90 else 99_999, 0.5)
    analyser.sizes = (320,)
    analysis = analyse(analyser, [picture((20, 20))], [], FaceAnalysisOptions())
    assert places(analysis) == [[20, 20]]
    assert "at 320 px with a margin" in analysis.report
    assert len(analyser.asked) == len(LADDER)
    assert analyser.asked[-1] == (320, 60 + 2 * 45, 90 + 2 * 45)


def test_detections_that_are_no_faces_are_left_out():
    class Nonsense(RedSpots):
        def detect(self, picture, size, confidence):
            found = super().detect(picture, size, confidence)
            boxes = torch.tensor(
                [[torch.nan] * 4, [9, 9, 9, 9], [9, 9, 4, 4], [-30, 0, -20, 9], [-9e3, -9e3, 9e3, 9e3]]
            )
            points = torch.cat([found.points[:1]] * 5)
            same = Detections(found.boxes, torch.zeros_like(found.points), found.scores)
            return Detections(
                torch.cat([boxes, same.boxes, found.boxes]),
                torch.cat([points, same.points, found.points]),
                torch.cat([torch.ones(5), same.scores, found.scores]),
            )

    analysis = analyse(Nonsense(), [picture((20, 20))], [], FaceAnalysisOptions())
    assert "1 face at" in analysis.report
    assert places(analysis) == [[20, 20]]


MASKS = {
    "one for all": ([torch.zeros(1, 6, 9).index_fill(2, torch.arange(5, 9), 1)], [[70, 30]]),
    "one for each picture": ([torch.stack([torch.ones(60, 90), torch.zeros(60, 90), torch.zeros(60, 90)])], [[20, 20]]),
    "without a batch": ([torch.ones(2, 2)], [[20, 20], [70, 30]]),
}


@pytest.mark.parametrize(("masks", "expected"), MASKS.values(), ids=MASKS)
def test_masks(masks, expected):
    assert places(analyse(RedSpots(), [BATCH], masks, FaceAnalysisOptions(missing=Missing.SKIP))) == expected


BAD = {
    "NaN": ([torch.full((1, 8, 8, 3), torch.nan)], [], "NaN"),
    "no picture": ([torch.zeros(0, 8, 8, 3)], [], "at least one picture"),
    "five channels": ([torch.zeros(1, 8, 8, 5)], [], "5 channels"),
    "two masks for three": ([BATCH], [torch.ones(2, 8, 8)], "3 pictures"),
    "NaN mask": ([BATCH], [torch.full((1, 8, 8), torch.nan)], "NaN"),
    "empty mask": ([BATCH], [torch.ones(1, 0, 8)], "empty"),
    "masks for other images": ([BATCH], [torch.ones(1, 8, 8)] * 2, "1 images"),
}


@pytest.mark.parametrize(("images", "masks", "message"), BAD.values(), ids=BAD)
def test_unusable_input(images, masks, message):
    with pytest.raises(PictureError, match=message):
        analyse(RedSpots(), images, masks, FaceAnalysisOptions())


@pytest.mark.parametrize("setting", [{"index": -1}, {"size": 0}, {"confidence": 0.0}, {"confidence": float("nan")}])
def test_unusable_settings(setting):
    with pytest.raises(SettingError, match=str(next(iter(setting.values())))):
        FaceAnalysisOptions(**setting)


def test_every_picture_is_a_point_to_cancel():
    ticks = []

    def cancel():
        ticks.append(1)
        if len(ticks) == 2:
            raise KeyboardInterrupt

    analyser = RedSpots()
    with pytest.raises(KeyboardInterrupt):
        analyse(analyser, [torch.cat([picture((20, 20))] * 5)], [], FaceAnalysisOptions(), cancel)
    assert len(analyser.asked) == 2
