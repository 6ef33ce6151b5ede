"""Faces on the disk: our own files bit for bit, embeddings of other programs, and files that are neither."""

import pytest
import torch
from face_models import portrait
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError, FaceError, PictureError
from ip_adapter_nodes.ip_adapter.faces.alignment import TEMPLATE, aligned, crops_of
from ip_adapter_nodes.ip_adapter.faces.face import Face, FaceLandmarks, Faces, Recogniser, neutral_face
from ip_adapter_nodes.ip_adapter.faces.file import FORMAT, load_faces, save_faces
from safetensors.torch import load_file, save_file

RECOGNISER = Recogniser("buffalo_l", "4c06")


def face(number, generator, **others):
    points = torch.tensor(TEMPLATE) * (1 + number) + 20
    place = FaceLandmarks(torch.tensor([20.0, 30.0, 140.0, 150.0]) + number, points)
    vector = 20 * torch.randn(512, generator=generator)
    return Face(number, vector, 0.75, **({"place": place, "crops": crops_of(portrait(), place)} | others))


def assert_same(given, expected):
    assert given.recogniser == expected.recogniser
    assert given.skipped == expected.skipped
    assert torch.equal(given.embeddings, expected.embeddings)
    for one, other in zip(given.members, expected.members, strict=True):
        assert (one.picture, one.score, one.found) == (other.picture, other.score, other.found)
        assert (one.place is None) == (other.place is None)
        if one.place is not None:
            assert torch.equal(one.place.box, other.place.box)
            assert torch.equal(one.place.points, other.place.points)
        if one.crops is not None:
            assert torch.equal(one.crops.aligned, other.crops.aligned)
            assert torch.equal(one.crops.square, other.crops.square)


def test_faces_come_back_bit_for_bit(tmp_path, generator):
    path = tmp_path / "new" / "folder" / "people.safetensors"
    faces = Faces((face(0, generator), face(2, generator)), RECOGNISER, skipped=(1,))
    save_faces(faces, path)
    assert_same(load_faces(path), faces)
    assert torch.equal(load_faces(path).crops, faces.crops)


def test_neutral_faces_and_bare_embeddings_come_back(tmp_path, generator):
    path = tmp_path / "people.safetensors"
    for faces in (
        Faces((face(0, generator), neutral_face(1)), RECOGNISER),
        Faces((face(0, generator, place=None, crops=None),), Recogniser()),
        Faces((face(0, generator, crops=None), neutral_face(1)), RECOGNISER),
    ):
        save_faces(faces, path)
        given = load_faces(path)
        assert torch.equal(given.embeddings, faces.embeddings)
        assert [one.found for one in given.members] == [one.found for one in faces.members]
        assert given.recogniser == faces.recogniser


VECTOR = torch.linspace(-1, 1, 512)


@pytest.mark.parametrize("name", ["embedding", "embeddings"])
@pytest.mark.parametrize("tensor", [VECTOR, VECTOR[None], VECTOR[None].half()], ids=["one", "a row", "half"])
def test_embeddings_of_other_programs(tmp_path, name, tensor):
    path = tmp_path / "elsewhere.safetensors"
    save_file({name: tensor, "age": torch.ones(1)}, path)
    faces = load_faces(path)
    assert torch.equal(faces.embeddings, tensor.float().reshape(1, 512))
    assert faces.recogniser == Recogniser("unknown")
    with pytest.raises(FaceError, match="Connect their pictures to Load Faces"):
        _ = faces.crops


@pytest.mark.parametrize("content", [VECTOR, {"embedding": VECTOR}, {"embeddings": VECTOR[None]}], ids=len)
def test_embeddings_saved_by_torch(tmp_path, content):
    path = tmp_path / "elsewhere.pt"
    torch.save(content, path)
    assert torch.equal(load_faces(path).embeddings[0], VECTOR)


def test_points_and_pictures_give_crops(tmp_path):
    path = tmp_path / "elsewhere.safetensors"
    points = torch.tensor(TEMPLATE) * 2 + 60
    save_file({"embedding": torch.stack([VECTOR, -VECTOR]), "kps": torch.stack([points, points + 50])}, path)
    image = portrait()[None]
    expected = torch.stack([aligned(portrait(), points, 224), aligned(portrait(), points + 50, 224)])
    for images in (image, image.expand(2, -1, -1, -1)):
        faces = load_faces(path, images)
        assert torch.equal(faces.crops, expected)
        assert faces.squares.shape == (2, 3, 336, 336)
    with pytest.raises(PictureError, match="2 faces, got 3"):
        load_faces(path, image.expand(3, -1, -1, -1))


WRONG = {
    "no embeddings": ({"ip_adapter.1.to_k_ip.weight": torch.ones(4, 4)}, r"Expected 'embeddings' \(n, 512\)"),
    "another width": ({"embedding": torch.ones(256)}, r"\(n, 512\), got \(256,\)"),
    "a number": ({"embedding": torch.tensor(1.0)}, r"\(n, 512\), got \(\)"),
    "four points": ({"embedding": VECTOR, "points": torch.ones(4, 2)}, r"\(n, 5, 2\), got \(4, 2\)"),
    "two embeddings, one face": ({"embedding": torch.ones(2, 512), "points": torch.ones(5, 2)}, "same number"),
    "zero": ({"embedding": torch.zeros(512)}, "nobody"),
    "NaN": ({"embedding": torch.full((512,), torch.nan)}, "NaN"),
    "none": ({"embedding": torch.ones(0, 512)}, "no face"),
}


@pytest.mark.parametrize(("tensors", "message"), WRONG.values(), ids=WRONG)
def test_other_files_are_refused(tmp_path, tensors, message):
    path = tmp_path / "other.safetensors"
    save_file(tensors, path)
    with pytest.raises(FaceError, match=message):
        load_faces(path)


def test_a_later_version_is_refused(tmp_path, generator):
    path = tmp_path / "people.safetensors"
    save_faces(Faces((face(0, generator),), RECOGNISER), path)
    save_file(load_file(path), path, {"format": FORMAT, "version": "2"})
    with pytest.raises(FaceError, match="version 2 of this format, expected 1"):
        load_faces(path)


@pytest.mark.parametrize("name", ["people.safetensors", "people.pt"])
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a file of tensors at all")
    with pytest.raises(AdapterFileError, match=name):
        load_faces(tmp_path / name)
