"""Training on faces: what the adapter is shown is what Apply FaceID shows it, and the command does all of it."""

import importlib
import json

import pytest
import torch
from accelerate.state import AcceleratorState
from face_models import red_cell, write_pack
from factories import randomise
from host_support.clip import tiny_clip_vision
from host_support.training import CONTEXT_WIDTH, config, tiny_base
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.errors import FaceError, SettingError
from ip_adapter_nodes.ip_adapter.faces.analysis import FaceAnalysisOptions, analyse
from ip_adapter_nodes.ip_adapter.faces.prompt import FaceFeatures, FacePrompt
from ip_adapter_nodes.ip_adapter.host.encode import HostEncoder
from ip_adapter_nodes.ip_adapter.prompts.preprocess import Fit, fitted
from ip_adapter_nodes.ip_adapter.tasks.readers import load_face_models, reader_for
from ip_adapter_nodes.ip_adapter.training.export import export
from ip_adapter_nodes.ip_adapter.training.kinds import projector_for, reads
from ip_adapter_nodes.ip_adapter.training.trainable import TrainableAdapter
from ip_adapter_nodes.models import TRAINABLE
from ip_adapter_nodes.models.facts import Kind, Widths
from PIL import Image
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

FACE_KINDS = [kind for kind in TRAINABLE if reads(kind).face]
PATCH_WIDTH = 64


@pytest.fixture(autouse=True)
def inference_mode():
    """Training needs gradients, which the host's mode for nodes forbids."""
    with torch.inference_mode(False):
        yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return write_pack(tmp_path_factory.mktemp("pack"))


@pytest.mark.parametrize("kind", FACE_KINDS)
def test_training_shows_what_apply_faceid_shows(face_libraries, pack, kind, generator, tmp_path):
    analyser, vision, picture = load_face_models(pack), tiny_clip_vision(), red_cell(32, 40)[None]
    reader = reader_for(kind, vision, analyser)
    adapter = TrainableAdapter(tiny_base().unet, projector_for(kind, Widths(CONTEXT_WIDTH, PATCH_WIDTH)))
    chosen = config(tmp_path, kind=kind.value, face_models=tmp_path)
    spec = export(tmp_path / "file.safetensors", randomise(adapter, generator).published(), chosen, 1).spec
    assert spec.kind is kind

    faces, encoder = analyse(analyser, [picture], (), FaceAnalysisOptions()).faces, HostEncoder(vision)
    look = FaceFeatures(encoder.encode(fitted(faces.crops, encoder.size, Fit.CROP)), encoder.encode_zeros())
    expected = FacePrompt(faces, look if spec.stage else None).inputs(spec)
    for given, wanted in ((reader.see(picture), expected.positive), (reader.nothing(), expected.negative)):
        assert len(given) == len(wanted)
        assert all(torch.equal(one, other) for one, other in zip(given, wanted, strict=True))
    assert adapter.image_proj(*reader.see(picture)).shape == (1, spec.tokens, CONTEXT_WIDTH)


def test_a_picture_without_a_face_and_a_missing_analyser_are_named(face_libraries, pack):
    reader = reader_for(Kind.FACEID, None, load_face_models(pack))
    with pytest.raises(FaceError, match="Expected a face in picture 1 of 1"):
        reader.see(torch.full((1, 3, 96, 96), 0.5))
    with pytest.raises(SettingError, match=r"Adapters of kind faceid read faces\. Connect Load Face Analysis"):
        reader_for(Kind.FACEID, None, None)


def write_settings(tmp_path, root, pack, **lines):
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    pictures = {"one": red_cell(32, 40), "two": red_cell(64, 16), "nobody": torch.full((3, 96, 96), 0.5)}
    for name, picture in pictures.items():
        Image.fromarray((picture.movedim(0, -1) * 255).round().byte().numpy()).save(data / f"{name}.png")
        (data / f"{name}.txt").write_text("a red star", encoding="utf-8")
    weights = root / "demo" / "weights"
    given = {"base": str(weights / "demo_checkpoint.safetensors"), "data": str(data), "output": str(tmp_path / "out")}
    given |= {"image_encoder": str(weights / "demo_clip_vision.safetensors"), "face_models": str(pack)}
    given |= {"custom_nodes": [str(root / "demo")], "steps": 2, "resolution": 64, "batch": 2, "log_every": 1} | lines
    file = tmp_path / "faces.toml"
    file.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in given.items()), encoding="utf-8")
    return str(file)


def test_the_command_trains_a_face_adapter_and_goes_on_from_one(
    face_libraries, pack, root, tmp_path, capsys, monkeypatch
):
    command = importlib.import_module("ip_adapter_nodes.cli.train")
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    kind = Kind.FACEID_PLUS.value
    first_settings = {"kind": kind, "held_out": 1, "draw_every": 2, "lora_rank": 2, "tracker": "tensorboard"}
    assert command.main([write_settings(tmp_path, root, pack, **first_settings)]) == 0
    with Image.open(tmp_path / "out" / "pictures" / "000002.png") as drawn:
        assert drawn.size == (64, 3 * 64)
        rows = [drawn.crop((0, top, 64, top + 64)).tobytes() for top in (0, 64, 128)]
    assert len(set(rows)) == 3  # the sample, without text, with text
    shown = EventAccumulator(str(tmp_path / "out" / "ip_adapter")).Reload().Images("drawn")
    assert [(event.step, event.width, event.height) for event in shown] == [(2, 64, 3 * 64)]
    told = capsys.readouterr().err
    assert "2 pictures used; 0 broken and skipped; 1 without a face skipped (nobody.png)" in told
    first = tmp_path / "out" / "ip_adapter.safetensors"
    with safe_open(first, "pt") as file:
        assert file.metadata()["ip_adapter_nodes.kind"] == kind
        assert json.loads(file.metadata()["ip_adapter_nodes.recipe"])["face_models"] == pack.name
    again = {"start": str(first), "output": str(tmp_path / "again"), "learning_rate": 1e-12, "weight_decay": 0.0}
    assert command.main([write_settings(tmp_path, root, pack, kind=kind, **again)]) == 0
    with safe_open(first, "pt") as one, safe_open(tmp_path / "again" / "ip_adapter.safetensors", "pt") as other:
        assert all(torch.equal(one.get_tensor(name), other.get_tensor(name)) for name in one.keys())  # noqa: SIM118
    assert Adapter.load(tmp_path / "again" / "ip_adapter.safetensors").spec.lora_rank == 2


WRONG_STARTS = {
    "Expected an adapter to start from of kind faceid, but start.safetensors is faceid-plus": {"kind": "faceid"},
    "Expected lora_rank to be 2, that of start.safetensors, got 3. Correct it, or leave it out": {"lora_rank": 3},
}


@pytest.mark.parametrize(("message", "wrong"), WRONG_STARTS.items())
def test_a_start_of_another_kind_or_rank_is_refused(
    face_libraries, pack, root, tmp_path, capsys, monkeypatch, message, wrong
):
    command = importlib.import_module("ip_adapter_nodes.cli.train")
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    kind = Kind.FACEID_PLUS
    adapter = TrainableAdapter(tiny_base().unet, projector_for(kind, Widths(CONTEXT_WIDTH, PATCH_WIDTH)), 2)
    start = tmp_path / "start.safetensors"
    export(start, adapter.published(), config(tmp_path, kind=kind.value), 1)
    settings = {"kind": kind.value, "start": str(start)} | wrong
    assert command.main([write_settings(tmp_path, root, pack, **settings)]) == 1
    assert message in capsys.readouterr().err
