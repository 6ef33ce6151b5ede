"""SCRFD and ArcFace through onnxruntime: against insightface on the same files, and on faces known in advance."""

import hashlib
import sys
import warnings

import pytest
import torch
from face_models import PackWriter, portrait, red_cell, write_pack
from ip_adapter_nodes.ip_adapter.errors import FaceError
from ip_adapter_nodes.ip_adapter.faces.alignment import aligned
from ip_adapter_nodes.ip_adapter.faces.onnx import available_providers, open_pack
from ip_adapter_nodes.ip_adapter.faces.pack import Pack
from ip_adapter_nodes.ip_adapter.faces.scrfd import letterboxed


def pack(folder):
    return Pack(folder.name, folder)


@pytest.fixture(scope="module")
def random_pack(tmp_path_factory):
    return write_pack(tmp_path_factory.mktemp("packs") / "random", torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def sees_red(tmp_path_factory):
    return open_pack(pack(write_pack(tmp_path_factory.mktemp("packs") / "red")))


def bgr(picture):
    return (picture.flip(0).movedim(0, -1) * 255).round().to(torch.uint8).numpy().copy()


def insightface_on(folder, picture, size):
    """Boxes with scores, points and embeddings as insightface computes them with the same two files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from insightface.app.common import Face
        from insightface.model_zoo.arcface_onnx import ArcFaceONNX
        from insightface.model_zoo.scrfd import SCRFD

        boxes, points = SCRFD(str(folder / "one.onnx"), static_shape_sessions=False).detect(bgr(picture), (size, size))
        recogniser = ArcFaceONNX(str(folder / "two.onnx"))
        vectors = [torch.from_numpy(recogniser.get(bgr(picture), Face(kps=five))) for five in points]
    return torch.from_numpy(boxes), torch.from_numpy(points), torch.stack(vectors)


def test_detector_and_recogniser_agree_with_insightface(random_pack):
    """At the picture's own size, where no resizing stands between the two."""
    boxes, points, vectors = insightface_on(random_pack, portrait(), 512)
    analyser = open_pack(pack(random_pack), "CPU")
    found = analyser.detect(portrait(), 512, 0.5)
    assert 10 < len(boxes) == len(found)
    assert torch.allclose(found.scores, boxes[:, 4], atol=1e-5)
    assert torch.allclose(found.boxes, boxes[:, :4], atol=1e-3)
    assert torch.allclose(found.points, points, atol=1e-3)
    crops = torch.stack([aligned(portrait(), five, 112) for five in points])
    assert torch.allclose(analyser.embed(crops), vectors, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("inner", "shape"), [((443, 640), (886, 1280)), ((320, 107), (300, 101)), ((12, 160), (3, 40))]
)
def test_pictures_are_resized_as_opencv_does(inner, shape, generator):
    """Into the top left corner of a black canvas; OpenCV calculates with 11 bits."""
    import cv2

    picture = (torch.rand(3, *shape, generator=generator) * 255).round() / 255
    blob, scale = letterboxed(picture, max(inner), (max(inner),) * 2)
    expected = cv2.resize((picture * 255).byte().movedim(0, -1).numpy(), inner[::-1])
    given = (blob[0].movedim(0, -1) * 128 + 127.5).round()
    assert (given[: inner[0], : inner[1]] - torch.from_numpy(expected).float()).abs().max() <= 1
    assert not given[inner[0] :].any()
    assert not given[:, inner[1] :].any()
    assert torch.equal(scale, torch.tensor([shape[1] / inner[1], shape[0] / inner[0]]))


PLACES = [(0, 0, 8), (40, 24, 8), (64, 32, 16), (96, 64, 32)]


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(("left", "top", "stride"), PLACES)
def test_faces_lie_where_the_picture_shows_them(sees_red, left, top, stride, factor):
    """The picture `factor` times as large as the detector's input: what it finds is `factor` times as far apart."""
    picture = red_cell(left, top, stride).repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    found = sees_red.detect(picture, 128, 0.5)
    corner = torch.tensor([left, top, left, top])
    expected = factor * (corner + stride * torch.tensor([-1, -1, 2, 2]))
    nearest = (found.boxes - expected).abs().sum(1).argmin()
    assert torch.allclose(found.boxes[nearest], expected.float(), atol=1e-3)
    points = corner[:2] + stride * torch.tensor([[0, 0], [1, 0], [0.5, 0.5], [0, 1], [1, 1]])
    assert torch.allclose(found.points[nearest], factor * points, atol=1e-3)
    assert found.scores[nearest] > 0.99


def test_two_anchors_on_one_face_are_one_detection(sees_red):
    assert len(sees_red.detect(red_cell(40, 24), 128, 0.5)) == 1


def test_colours_are_red_green_blue(sees_red):
    assert len(sees_red.detect(red_cell(40, 24).flip(0), 128, 0.5)) == 0


def test_a_detector_of_one_size_takes_pictures_of_any(tmp_path):
    """An input of 64 x 96 only: the picture is made smaller until it fits, also when a larger size is asked for."""
    PackWriter([1, 3, 64, 96]).detector(leading=(1,)).save(tmp_path / "a.onnx")
    PackWriter(["N", 3, 112, 112]).recogniser().save(tmp_path / "b.onnx")
    found = open_pack(pack(tmp_path)).detect(red_cell(48, 16, 16, (128, 128)), 640, 0.5)
    assert torch.equal(found.boxes, torch.tensor([[32.0, 0.0, 80.0, 48.0]]))


def test_what_a_recogniser_is_called_follows_its_file(random_pack):
    recogniser = open_pack(pack(random_pack)).recogniser
    assert recogniser.name == "random/two.onnx"
    assert recogniser.sha256 == hashlib.sha256((random_pack / "two.onnx").read_bytes()).hexdigest()


def writers():
    any_size, face = [1, 3, "?", "?"], [1, 3, 112, 112]
    return {
        "detector": PackWriter(any_size).detector(),
        "detector without points": PackWriter(any_size).detector(columns=2),
        "recogniser": PackWriter(face).recogniser(),
        "narrow recogniser": PackWriter(face).recogniser(128),
        "other": PackWriter([1, 3, 192, 192]).recogniser(212, pool=48),
    }


INCOMPLETE = {
    "no recogniser": (["detector", "other"], "a face recogniser"),
    "no detector": (["recogniser", "other"], "a face detector"),
    "no points": (["detector without points", "recogniser"], "five points"),
    "another width": (["detector", "narrow recogniser"], "512 numbers"),
    "neither": (["other"], "a face detector"),
}


@pytest.mark.parametrize(("names", "missing"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_incomplete_packs_say_what_is_missing_and_where(tmp_path, names, missing):
    for name in names:
        writers()[name].save(tmp_path / f"{name}.onnx")
    with pytest.raises(FaceError, match=missing) as error:
        open_pack(pack(tmp_path))
    assert str(tmp_path) in str(error.value)
    assert all(f"{name}.onnx" in str(error.value) for name in names)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"version https://git-lfs.github.com/spec/v1"], ids=len)
def test_a_wrong_file_is_named_with_its_size(tmp_path, content):
    path = tmp_path / "det_10g.onnx"
    path.write_bytes(content)
    with pytest.raises(FaceError, match=f"{len(content)} bytes") as error:
        open_pack(pack(tmp_path))
    assert str(path) in str(error.value)


def test_providers_are_those_of_the_installed_onnxruntime(random_pack):
    import onnxruntime

    offered = [f"{name}ExecutionProvider" for name in available_providers()]
    assert offered == [name for name in onnxruntime.get_available_providers() if not name.startswith("Azure")]
    assert open_pack(pack(random_pack), "auto").device in available_providers()
    with pytest.raises(FaceError, match=r"'Quantum'; it offers .*CPU"):
        open_pack(pack(random_pack), "Quantum")


def test_without_onnxruntime_the_message_says_how_to_install_it(random_pack, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert available_providers() == []
    with pytest.raises(FaceError, match="pip install onnxruntime"):
        open_pack(pack(random_pack))
