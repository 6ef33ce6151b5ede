"""Face values: raw and normed embeddings, crops, recognisers, and how alike two groups are."""

import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import FaceError
from ip_adapter_nodes.ip_adapter.faces.face import RECOGNISERS, Crops, Face, Faces, Recogniser, neutral_face
from ip_adapter_nodes.ip_adapter.faces.similarity import SimilarityOf, compare
from ip_adapter_nodes.ip_adapter.library import catalog

BUFFALO, ANTELOPE = Recogniser("buffalo_l", "4c06"), Recogniser("antelopev2", "4ab1")


def unit(*axes):
    vector = torch.zeros(512)
    vector[list(axes)] = 1.0
    return vector


def faces(*vectors, recogniser=BUFFALO):
    return Faces(tuple(Face(index, vector) for index, vector in enumerate(vectors)), recogniser)


def test_embeddings_are_raw_and_normed_has_length_one(generator):
    raw = 20 * torch.randn(3, 512, generator=generator)
    given = faces(*raw)
    assert torch.equal(given.embeddings, raw)
    assert torch.allclose(given.normed, raw / raw.square().sum(1, keepdim=True).sqrt())


def test_small_and_large_embeddings_have_length_one_too():
    given = faces(unit(3) * 1e-15, unit(4) * 1e15)
    assert torch.equal(given.normed, torch.stack([unit(3), unit(4)]))


def test_a_neutral_face_is_zero_on_both_sides_and_mean_grey():
    given = Faces((neutral_face(0),), BUFFALO)
    assert not given.embeddings.any()
    assert not given.normed.any()
    assert given.crops.shape == (1, 3, 224, 224)
    assert given.squares.shape == (1, 3, 336, 336)
    assert given.crops.std(dim=(2, 3)).max() == 0


def test_crops_are_fractions_of_one():
    crops = Crops(torch.full((3, 224, 224), 255, dtype=torch.uint8), torch.full((3, 336, 336), 51, dtype=torch.uint8))
    given = Faces((Face(0, unit(0), crops=crops),), BUFFALO)
    assert torch.equal(given.crops, torch.ones(1, 3, 224, 224))
    assert torch.equal(given.squares, torch.full((1, 3, 336, 336), 0.2))


def test_faces_without_pictures_have_no_crops():
    mixed = Faces((neutral_face(0), Face(1, unit(0))), BUFFALO)
    for get in (lambda: mixed.crops, lambda: mixed.squares):
        with pytest.raises(FaceError, match="1 of 2 faces are embeddings without a picture"):
            get()


BAD = {
    "narrow": (torch.ones(256), r"512 numbers, got shape \(256,\)"),
    "two rows": (torch.ones(2, 512), "512 numbers"),
    "zero": (torch.zeros(512), "nobody"),
    "so small that its length is zero": (unit(0) * 1e-30, "nobody"),
    "NaN": (torch.full((512,), torch.nan), "NaN"),
    "infinite": (unit(0) * torch.inf, "NaN"),
}


@pytest.mark.parametrize(("embedding", "message"), BAD.values(), ids=BAD)
def test_unusable_embeddings(embedding, message):
    with pytest.raises(FaceError, match=message):
        Face(0, embedding)


def test_no_faces_at_all():
    with pytest.raises(FaceError, match="no face"):
        Faces((), BUFFALO)


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        (BUFFALO, Recogniser("renamed/w600k_r50.onnx", "4c06"), False),
        (BUFFALO, ANTELOPE, True),
        (Recogniser("buffalo_l"), Recogniser("antelopev2", "4ab1"), True),
        (Recogniser("buffalo_l"), BUFFALO, False),
        (Recogniser(), BUFFALO, False),
        (Recogniser(), Recogniser(), False),
    ],
)
def test_recognisers_differ_by_their_files_or_else_by_name(first, second, differ):
    assert first.differs_from(second) is differ
    assert second.differs_from(first) is differ


def test_known_recognisers_have_the_catalogues_names():
    """An adapter's entry names the recogniser it was trained with; that name must be one that a pack can have."""
    needed = {entry.face for entry in catalog.entries() if entry.face is not None}
    assert needed
    assert needed <= set(RECOGNISERS.values())
    assert all(len(digest) == 64 for digest in RECOGNISERS)


def test_similarity_of_pairs():
    """Axes and their halves: cosines of 1, 0 and cos 45 degrees, whatever the lengths."""
    first, second = faces(3 * unit(0), unit(1)), faces(unit(0, 1), 0.1 * unit(2), 7 * unit(0))
    best, table = compare(first, second, SimilarityOf.BEST)
    mean, _ = compare(first, second, SimilarityOf.MEAN)
    assert best == pytest.approx(1)
    assert mean == pytest.approx((2 * math.sqrt(0.5) + 1) / 6)
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["b0", "(picture", "1)", "b1", "(picture", "2)", "b2", "(picture", "3)"]
    assert rows[1] == ["a0", "(picture", "1)", "0.707", "0.000", "1.000"]
    assert rows[2] == ["a1", "(picture", "2)", "0.707", "0.000", "0.000"]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_opposite_faces():
    assert compare(faces(unit(0)), faces(-unit(0)), SimilarityOf.BEST)[0] == pytest.approx(-1)


def test_neutral_faces_are_not_compared():
    mixed = Faces((neutral_face(0), Face(1, unit(0))), BUFFALO)
    similarity, table = compare(mixed, mixed, SimilarityOf.MEAN)
    assert similarity == pytest.approx(1)
    assert "a0" not in table
    with pytest.raises(FaceError, match="only neutral"):
        compare(mixed, Faces((neutral_face(0),), BUFFALO), SimilarityOf.BEST)


def test_faces_of_two_recognisers_are_refused_by_name():
    with pytest.raises(FaceError, match="buffalo_l and antelopev2"):
        compare(faces(unit(0)), faces(unit(0), recogniser=ANTELOPE), SimilarityOf.BEST)
