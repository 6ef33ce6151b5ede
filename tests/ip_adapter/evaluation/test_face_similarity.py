"""Face similarity is the cosine of the embeddings of the largest faces, or no number where a face is missing."""

import pytest
import torch
from face_models import red_cell, write_pack
from ip_adapter_nodes.ip_adapter.evaluation.cases import EvalSample
from ip_adapter_nodes.ip_adapter.evaluation.measures import Lacking, face_similarity
from ip_adapter_nodes.ip_adapter.faces.analysis import FaceAnalysisOptions, analyse
from ip_adapter_nodes.ip_adapter.faces.onnx import open_pack
from ip_adapter_nodes.ip_adapter.faces.pack import Pack
from ip_adapter_nodes.ip_adapter.faces.selection import Which
from ip_adapter_nodes.ip_adapter.training.pictures import Captioned, read_picture, save_picture


@pytest.fixture(scope="module")
def analyser(tmp_path_factory):
    return open_pack(Pack("small", write_pack(tmp_path_factory.mktemp("pack"))), "CPU")


@pytest.fixture
def picture(tmp_path):
    """Writes a picture in which the small detector sees squares of red of these sizes, in a column each."""

    def write(name, *strides):
        pixels = torch.full((3, 96, 128), 0.5)
        for column, stride in enumerate(strides):
            seen = red_cell(64 * column + 32, 32, stride, (96, 128))
            pixels = torch.where(seen == 0.5, pixels, seen)
        save_picture(pixels, tmp_path / name)
        return tmp_path / name

    return write


def largest(analyser, file):
    """The raw embedding of the widest of all faces, and how many there are."""
    image = read_picture(file)
    faces = analyse(analyser, [image], (), FaceAnalysisOptions(which=Which.ALL)).faces.members
    widest = max(faces, key=lambda face: face.place.box[2] - face.place.box[0])
    return len(faces), widest.embedding.tolist()


def test_it_is_the_cosine_of_the_largest_faces(analyser, picture):
    made, reference = picture("a_1.png", 8, 32), picture("a.png", 16)
    (count, one), (_, other) = largest(analyser, made), largest(analyser, reference)
    assert count > 1
    dot, *lengths = (
        sum(x * y for x, y in zip(*pair, strict=True)) for pair in ((one, other), (one, one), (other,) * 2)
    )
    measure = face_similarity(analyser, "small")
    value = measure.of(EvalSample(made, Captioned(reference, "")))
    assert value == pytest.approx(dot / (lengths[0] * lengths[1]) ** 0.5, abs=1e-5)
    assert value < 0.999
    assert measure.of(EvalSample(reference, Captioned(reference, ""))) == pytest.approx(1, abs=1e-6)


def test_a_picture_or_reference_without_a_face_has_no_number(analyser, picture):
    with_face, without = picture("a.png", 8), picture("none.png")
    measure = face_similarity(analyser, "small")
    made = EvalSample(without, Captioned(with_face, ""), "weight 1")
    assert measure.of(made) == Lacking("face", "weight 1/none.png")
    assert measure.of(EvalSample(with_face, Captioned(without, ""))) == Lacking("face", "none.png (reference)")
