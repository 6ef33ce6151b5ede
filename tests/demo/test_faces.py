"""The shipped FaceID files do what demo/RESULTS.md says: the pack in onnxruntime, the adapter in the host.

The bounds lie far above chance and below the figures there, so that a few cases do not fail sound models.
"""

import os
from dataclasses import replace

import pytest
import torch
from ip_adapter_nodes.demo import face, world
from ip_adapter_nodes.demo.files import FACE_PACK, WEIGHTS
from ip_adapter_nodes.demo.judge import load_judge, read_labels

CASES, CONDITIONS = 8, ("face alone", "background", "empty")

pytestmark = pytest.mark.skipif("IP_ADAPTER_NODES_HOST" not in os.environ, reason="needs the host")


@pytest.fixture(scope="module")
def scenes():
    from ip_adapter_nodes.demo.measure import held_out

    return held_out(CASES)


@pytest.fixture(scope="module")
def analyser():
    from ip_adapter_nodes.ip_adapter.faces.onnx import open_pack
    from ip_adapter_nodes.ip_adapter.library.face_packs import choose_pack

    return open_pack(choose_pack("auto", [WEIGHTS / FACE_PACK.parts[0]]), "CPU")


def test_points_turn_with_the_object_and_its_box_holds_it():
    scenes = replace(held_still(2), angle=torch.tensor([0.0, torch.pi / 2]))
    upright, turned = face.points(scenes, 100) - 49.5
    assert turned.allclose(torch.stack([-upright[:, 1], upright[:, 0]], dim=1), atol=1e-4)
    square = held_still(1)
    assert face.boxes(square, 100).sub(torch.tensor([50 - 33.6, 50 - 33.6, 50 + 33.6, 50 + 33.6])).abs().max() < 1


def held_still(count):
    """Squares in the middle of the frame with a radius of 0.8, whose half side is 0.84 of it."""
    scenes = world.sample_scenes(count, torch.Generator().manual_seed(0))
    labels = scenes.labels.clone()
    labels[:, 0] = world.SHAPES.index("square")
    still = {"centre": torch.zeros(count, 2), "radius": torch.full((count,), 0.8), "angle": torch.zeros(count)}
    return replace(scenes, labels=labels, **still)


def test_identity_is_shape_colour_and_texture_and_never_hides_in_the_background(scenes):
    wanted = torch.arange(face.COUNT)
    everybody = face.of_identities(world.sample_scenes(face.COUNT, torch.Generator().manual_seed(1)), wanted)
    assert face.identities(everybody.labels).equal(wanted)
    assert len({tuple(row[:3]) for row in everybody.labels.tolist()}) == face.COUNT
    assert (everybody.labels[:, 1] != everybody.labels[:, 3]).all()


def test_the_detector_finds_what_is_there(analyser, shipped_picture):
    from ip_adapter_nodes.demo.measure import held_out
    from ip_adapter_nodes.demo.measure_faces import seen

    found, off, _ = seen(analyser, held_out(64))
    assert found >= 0.9
    assert off < 0.1
    for name, count in (("two_people.png", 2), ("wide.png", 3)):
        assert len(analyser.detect(shipped_picture(name), 640, 0.5)) == count


@pytest.fixture
def shipped_picture(root):
    import numpy
    from PIL import Image

    def read(name):
        pixels = numpy.array(Image.open(root / "demo" / "pictures" / name).convert("RGB"))
        return torch.from_numpy(pixels).movedim(-1, 0) / 255

    return read


def test_the_recogniser_tells_identities_apart(analyser):
    from ip_adapter_nodes.demo.measure import held_out
    from ip_adapter_nodes.demo.measure_faces import other_photographs, seen

    scenes = held_out(64)
    who = face.identities(scenes.labels)
    cosines = seen(analyser, scenes)[2] @ seen(analyser, other_photographs(scenes))[2].T
    same = who[:, None] == who
    assert cosines[same].mean() > 0.6 > 0.3 > cosines[~same].mean()
    assert (who[cosines.argmax(1)] == who).float().mean() >= 0.8


def test_the_files_are_small_of_the_published_form_and_say_how_they_were_made():
    import onnxruntime
    from ip_adapter_nodes.ip_adapter.adapter import Adapter
    from ip_adapter_nodes.models.facts import Kind
    from safetensors import safe_open

    pack = sorted((WEIGHTS / FACE_PACK).glob("*.onnx"))
    adapter = WEIGHTS / "demo_faceid.safetensors"
    assert sum(file.stat().st_size for file in (*pack, adapter)) < 1_200_000
    for file in pack:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        assert any(key.startswith("recipe.") for key in session.get_modelmeta().custom_metadata_map)
    with safe_open(adapter, "pt") as content:
        assert any(key.startswith("recipe.") for key in content.metadata())
    spec = Adapter.load(adapter).spec
    assert (spec.kind, spec.decided_by) == (Kind.FACEID_PLUS_V2, "metadata")
    assert len(spec.site_indices) == 7
    assert spec.lora_rank == 4


@pytest.fixture(scope="module")
def shares(scenes):
    """For each condition, the share of cases with the face's shape, colour, texture, and the text's background."""
    from ip_adapter_nodes.demo.measure_faces import draw, other_backgrounds

    with torch.inference_mode():
        drawn, judge = draw(CASES, WEIGHTS, CONDITIONS), load_judge()
        wanted = torch.cat([scenes.labels[:, :3], other_backgrounds(scenes)[:, None]], dim=1)
        return {name: (read_labels(judge, some) == wanted).float().mean(0).tolist() for name, some in drawn.items()}


def test_pictures_take_the_identity_and_leave_the_background_to_the_text(shares):
    assert min(shares["face alone"][:2]) >= 0.6
    assert min(shares["background"][:2]) >= 0.8
    assert shares["background"][3] >= 0.8 > 0.5 > shares["face alone"][3]


def test_without_weight_and_lora_nobody_is_drawn(shares):
    assert max(shares["empty"][:2]) <= 0.5
