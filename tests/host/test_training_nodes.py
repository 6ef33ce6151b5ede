"""The training nodes on the demonstration family, in this process: what they make, and what they leave alone."""

import json
from pathlib import Path

import comfy.model_management as management
import folder_paths
import pytest
import torch
from accelerate.state import AcceleratorState
from factories import relative_error
from host_support.clip import tiny_clip_vision
from host_support.sampling import sample, text
from host_support.state import digests
from host_support.training import config, job
from ip_adapter_nodes.demo import world
from ip_adapter_nodes.demo.studio import Studio, as_image
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.errors import SettingError, WrongEncoderError, WrongPromptError
from ip_adapter_nodes.ip_adapter.prompts.preprocess import Fit, fitted
from ip_adapter_nodes.ip_adapter.tasks.clip_text import text_features
from ip_adapter_nodes.ip_adapter.training.loop import Callbacks, Training, make_accelerator
from ip_adapter_nodes.ip_adapter.training.single_process import Alone
from ip_adapter_nodes.nodes.apply import ApplyIPAdapter
from ip_adapter_nodes.nodes.encode import EncodeImagePrompt
from ip_adapter_nodes.nodes.evaluate import EvaluateImagePrompt, EvaluateTextPrompt
from ip_adapter_nodes.nodes.train import TrainingPictures, TrainIPAdapter
from safetensors import safe_open
from safetensors.torch import load_file

SETTINGS = {
    "kind": "standard",
    "steps": 40,
    "batch": 4,
    "learning_rate": 1e-3,
    "resolution": 128,
    "held_out": 16,
    "seed": 0,
}


@pytest.fixture(scope="module")
def studio():
    with torch.inference_mode():
        return Studio()


@pytest.fixture(scope="module")
def images():
    scenes = world.sample_scenes(40, torch.Generator().manual_seed(0))
    return as_image(world.render(scenes)), [world.caption(labels) for labels in scenes.labels.tolist()]


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for folder in ("output", "temp", "input"):
        monkeypatch.setattr(folder_paths, f"{folder}_directory", str(tmp_path / folder))
    (tmp_path / "input").mkdir()
    yield tmp_path
    management.interrupt_current_processing(False)


def gathered(images, captions):
    return TrainingPictures.execute(["none"], [images], captions).result[0]


def state_of(model):
    """Weights and options; where the weights lie the host notes anew at every use."""
    network = model.model
    flags = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    weights = {name: tensor.cpu().numpy().tobytes() for name, tensor in network.state_dict().items()}
    return weights, digests(model.model_options), flags


def train(studio, pictures, **changes):
    wires = {"model": studio.model, "clip": studio.clip, "vae": studio.vae, "clip_vision": studio.encoder}
    return TrainIPAdapter.execute(**(wires | {"pictures": pictures, "name": "mine"} | SETTINGS | changes)).result


def test_half_a_minute_of_training_learns_and_the_adapter_applies_at_once(studio, images, folders):
    before = state_of(studio.model)
    adapter, curve, report = train(studio, gathered(*images))
    *_, (first, last) = [
        tuple(float(word) for word in line.split() if word[0].isdigit())
        for line in report.splitlines()
        if line.startswith("Held-out loss")
    ]
    assert last < 0.85 * first, report
    assert "40 pictures used; 0 broken and skipped" in report
    assert curve.shape == (1, 420, 800, 3)
    assert state_of(studio.model) == before

    (file,) = (folders / "output" / "ipadapter").iterdir()
    assert file.name == "mine_00001_.safetensors"
    with safe_open(file, "pt") as opened:
        recipe = json.loads(opened.metadata()["ip_adapter_nodes.recipe"])
    assert (recipe["steps"], recipe["learning_rate"], recipe["base"]) == (40, 1e-3, "DemoModel")
    prompt = EncodeImagePrompt.execute(studio.encoder, images[0][:1], "crop", "concat", 1.0).result[0]
    settings = {"weight": 1.0, "start_percent": 0.0, "end_percent": 1.0, "weight_type": "linear"}
    drawn = [
        sample(ApplyIPAdapter.execute(studio.model, one, prompt, **settings).result[0], positive=text(studio.model, 2))
        for one in (adapter, Adapter.load(file))
    ]
    assert torch.equal(*drawn)
    assert relative_error(drawn[0], sample(studio.model, positive=text(studio.model, 2))) > 0.01
    assert list((folders / "temp").iterdir()) == []


def test_cancelling_leaves_nothing_and_the_same_again_is_bitwise_the_same(studio, images, folders, monkeypatch):
    pictures, short = gathered(images[0][:8], images[1][:8]), {"steps": 2, "batch": 2, "held_out": 2, "resolution": 64}
    expected = train(studio, pictures, **short)[0]
    advance = Training._advance

    def cancelling(training):
        advance(training)
        management.interrupt_current_processing(True)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_advance", cancelling)
        with pytest.raises(management.InterruptProcessingException):
            train(studio, pictures, **short)
    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        train(studio, pictures, **short)
    assert list((folders / "temp").iterdir()) == []
    again = train(studio, pictures, **short)[0]
    files = [Path(adapter.source.path) for adapter in (expected, again)]
    assert sorted((folders / "output" / "ipadapter").iterdir()) == files
    one, other = map(load_file, files)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_adapter_to_start_from_is_taken_as_it_is(studio, images):
    pictures, still = (
        gathered(images[0][:4], []),
        {"steps": 1, "batch": 1, "held_out": 0, "resolution": 64, "learning_rate": 1e-7},
    )
    adapter = train(studio, pictures, **still, ip_adapter=studio.adapter)[0]
    with adapter.source.open() as read, studio.adapter.source.open() as start:
        errors = [relative_error(read(name), start(name)) for name in studio.adapter.source.shapes]
    assert max(errors) < 1e-3
    with pytest.raises(WrongPromptError, match=r"of kind plus, but demo_ip_adapter\.safetensors is standard"):
        train(studio, pictures, **still | {"kind": "plus"}, ip_adapter=studio.adapter)


def test_pictures_come_from_images_and_folders(images, folders):
    shown, captions = images
    with pytest.raises(SettingError, match="There are no pictures to train on"):
        TrainingPictures.execute(["none"])
    with pytest.raises(SettingError, match="Expected a caption for each of 3 pictures, or one for all, got 2"):
        TrainingPictures.execute(["none"], [shown[:1], shown[:2, :50]], captions[:2])
    data = folders / "input" / "mine"
    data.mkdir()
    (data / "lost.txt").write_text("of nothing", encoding="utf-8")
    found, report = TrainingPictures.execute(["mine"], [shown[:1], shown[:2, :50]], ["all"]).result
    assert [tuple(picture.read().shape[-2:]) for picture in found.pictures] == [(128, 128), (50, 128), (50, 128)]
    assert {picture.caption for picture in found.pictures} == {"all"}
    assert (report, found.account.without_picture) == ("3 pictures, 0 of them without a caption", ["lost"])


@pytest.mark.parametrize("settings", [{}, {"accumulation": 2, "largest_gradient": 0.5, "ema": 0.9}], ids=str)
def test_alone_trains_as_accelerate_does(tmp_path, settings):
    with torch.inference_mode(False):
        trainings = []
        for name in ("alone", "accelerate"):
            chosen = config(tmp_path / name, steps=3, save_every=9, **settings)
            accelerator = make_accelerator(chosen, on_cpu=True)
            alone = Alone(torch.device("cpu"), chosen.accumulation)
            trainings.append(Training(job(chosen, 2), alone if name == "alone" else accelerator))
            trainings[-1].train(Callbacks())
        AcceleratorState._reset_state(reset_partial_state=True)
        assert trainings[0].curve == trainings[1].curve
        one, other = (training.weights() for training in trainings)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_similarities_are_cosines_of_the_encoders_embeddings(studio, images):
    made, references = images[0][:4], images[0][[0, 9]]
    number, table = EvaluateImagePrompt.execute([studio.encoder], [made[:3], made[3:]], [references]).result
    features = studio.encoder.encode_image(images[0][[0, 1, 2, 3, 9]], crop=True).image_embeds.float()
    features = features / features.norm(dim=1, keepdim=True)
    expected = [features[made] @ features[reference] for made, reference in ((0, 0), (1, 0), (2, 4), (3, 4))]
    assert number == pytest.approx(float(sum(expected)) / 4, abs=1e-3)  # the host crops after rounding to 8 bits
    assert table.splitlines()[2].startswith("| 1 | 1 | 1.000 |")
    assert table.splitlines()[4].startswith("| 3 | 2 | ")
    with pytest.raises(SettingError, match="Expected as many pictures for each of 3 references, got 4 in all"):
        EvaluateImagePrompt.execute([studio.encoder], [made], [images[0][:3]])


def test_clipscore_is_the_formula_and_another_clip_is_refused(studio, images):
    projection = studio.clip.cond_stage_model.clip_demo.transformer.text_projection.weight
    vision, shown = tiny_clip_vision(pooled_width=projection.shape[0]), [images[0][:1], images[0][1:2]]
    number, table = EvaluateTextPrompt.execute([vision], [studio.clip], shown, ["a red star", "a blue ring"]).result
    side = vision.image_size
    squares = [fitted(image.movedim(-1, 1), side, Fit.CROP).movedim(1, -1) for image in shown]
    pictures = [vision.encode_image(square, crop=False).image_embeds.flatten() for square in squares]
    texts = [text_features(studio.clip, caption).flatten() for caption in ("a red star", "a blue ring")]
    cosines = [float(one @ other / (one.norm() * other.norm())) for one, other in zip(pictures, texts, strict=True)]
    assert number == pytest.approx(sum(2.5 * max(cosine, 0) for cosine in cosines) / 2, abs=1e-5)
    assert table.splitlines()[3].startswith("| 2 | 2 | ")
    with pytest.raises(
        WrongEncoderError, match="Expected image and text encoder of one CLIP, got embeddings of width 48"
    ):
        EvaluateTextPrompt.execute([tiny_clip_vision()], [studio.clip], shown, ["a star"])


def test_a_text_encoder_without_projection_is_refused(studio, images, monkeypatch):
    """The host puts the identity where a file holds none."""
    layer = studio.clip.cond_stage_model.clip_demo.transformer.text_projection
    monkeypatch.setattr(layer, "weight", torch.nn.Parameter(torch.eye(*layer.weight.shape)))
    with pytest.raises(WrongEncoderError, match="has no text_projection into the space of pictures"):
        EvaluateTextPrompt.execute([studio.encoder], [studio.clip], [images[0][:1]], ["a star"])
