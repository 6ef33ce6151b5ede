"""`run.py evaluate` with the demonstration's image encoder, through the host's own loader."""

import csv
from pathlib import Path

import pytest
import torch
from factories import relative_error
from ip_adapter_nodes.cli.evaluate import main
from ip_adapter_nodes.demo import evaluate, vocabulary, world
from ip_adapter_nodes.demo.judge import load_judge, read_labels
from ip_adapter_nodes.ip_adapter.evaluation.grid import CELL, GAP, LINE
from ip_adapter_nodes.ip_adapter.tasks.clip_text import text_features
from ip_adapter_nodes.ip_adapter.tasks.generate import GenerationOptions
from ip_adapter_nodes.ip_adapter.tasks.training import load_checkpoint, load_packs
from ip_adapter_nodes.ip_adapter.training.pictures import read_picture
from PIL import Image


@pytest.fixture
def arguments(tmp_path, root):
    """Two references; from each one picture that is the same, and one of the other scene."""
    pictures = world.render(world.sample_scenes(2, torch.Generator().manual_seed(0)), 64)
    images = [Image.fromarray((x.movedim(0, -1) * 255).byte().numpy()) for x in pictures]
    for folder in ("made", "references"):
        (tmp_path / folder).mkdir()
    for number, image in enumerate(images):
        image.save(tmp_path / "references" / f"{number}.png")
        image.save(tmp_path / "made" / f"{number}_same.png")
        images[1 - number].save(tmp_path / "made" / f"{number}_other.png")
    encoder = root / "demo" / "weights" / "demo_clip_vision.safetensors"
    folders = [str(tmp_path / folder) for folder in ("made", "references")]
    options = {"--image-encoder": encoder, "--output": tmp_path / "out", "--custom-nodes": root / "demo"}
    return [*folders, *(str(word) for option in options.items() for word in option)]


def test_the_same_picture_scores_one_and_another_less(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    assert capsys.readouterr().out == (tmp_path / "out" / "scores.md").read_text(encoding="utf-8")
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text(encoding="utf-8").splitlines()))
    values = {row["picture"]: float(row["clip_i"]) for row in rows}
    assert [values[f"{number}_same.png"] for number in range(2)] == pytest.approx([1, 1], abs=1e-6)
    assert values["0_other.png"] == pytest.approx(values["1_other.png"], abs=1e-6)
    assert values["0_other.png"] < 0.9
    with Image.open(tmp_path / "out" / "grid.png") as grid:
        assert grid.size == (3 * CELL, 2 * (CELL + 2 * LINE + GAP))


def test_the_sweep_is_drawn_measured_and_kept(arguments, tmp_path, root, capsys):
    """Weight 0 ignores the reference and weight 1 follows it; a second start draws nothing again."""
    _, references, *options = arguments
    for name in ("0", "1"):
        Path(references, f"{name}.txt").write_text("a red star", encoding="utf-8")
    weights = root / "demo" / "weights"
    options += ["--adapter", weights / "demo_ip_adapter.safetensors", "--base", weights / "demo_checkpoint.safetensors"]
    options += ["--weights", 0, 1, "--texts", "empty", "caption", "--per-reference", 2, "--steps", 4, "--guidance", 3.5]
    command = [str(word) for word in (tmp_path / "drawn", references, *options, "--resolution", 128)]
    assert main(command) == 0
    first = capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text(encoding="utf-8").splitlines()))
    settings = [f"weight {weight}, {text} text" for weight in (0, 1) for text in ("caption", "empty")]
    assert sorted({row["setting"] for row in rows}) == settings
    assert len(rows) == 4 * 2 * 2
    means = {name: sum(float(row["clip_i"]) for row in rows if row["setting"] == name) / 4 for name in settings}
    assert means["weight 1, empty text"] > means["weight 0, empty text"] + 0.1
    with Image.open(tmp_path / "out" / "grid.png") as grid:
        assert grid.size == (9 * CELL, 2 * (CELL + 2 * LINE + GAP))
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "drawn").rglob("*.png")}
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "drawn").rglob("*.png")}


def test_the_defaults_are_the_papers_protocol():
    paper = GenerationOptions()
    assert (paper.pictures, paper.steps, paper.guidance, paper.weights, paper.texts) == (4, 50, 7.5, (1.0,), ("empty",))


def test_texts_are_projected_into_the_space_of_the_pictures(root):
    load_packs([root / "demo"])
    clip = load_checkpoint(root / "demo" / "weights" / "demo_checkpoint.safetensors").clip
    caption = "a red star"
    projection = clip.cond_stage_model.clip_demo.transformer.text_projection.weight.float()
    end = vocabulary.padded_ids(caption).index(vocabulary.END)
    expected = clip.encode_from_tokens(clip.tokenize(caption))[:, end].float() @ projection.T
    assert relative_error(text_features(clip, caption), expected) <= 1e-5


def test_a_text_encoder_that_cannot_be_compared_is_named(arguments, root, capsys):
    checkpoint = root / "demo" / "weights" / "demo_judge.safetensors"
    assert main([*arguments, "--text-encoder", str(checkpoint)]) == 1
    assert "demo_judge.safetensors has no text_projection" in capsys.readouterr().err


def test_what_would_not_be_measured_or_read_is_named_before_anything_is_drawn(arguments, tmp_path, root, capsys):
    folders, weights = arguments[:2], root / "demo" / "weights"
    base = ["--custom-nodes", str(root / "demo"), "--base", str(weights / "demo_checkpoint.safetensors")]
    face = ["--adapter", str(weights / "demo_faceid.safetensors")]
    expected = {
        (): "There is nothing to measure with",
        ("--text-encoder", "x.safetensors"): "Expected --image-encoder with --text-encoder",
        (*arguments[2:], *face): "Expected --base with --adapter",
        (*arguments[2:], *face, *base): "Expected --adapter-face-models with demo_faceid.safetensors",
    }
    for options, message in expected.items():
        assert main([*folders, *options]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def people(tmp_path):
    """Two of the demo world's photographs, and one of nobody."""
    folder = tmp_path / "people"
    folder.mkdir()
    pictures = world.render(world.sample_scenes(2, torch.Generator().manual_seed(3)), 256)
    for name, picture in zip(("first", "second", "nobody"), (*pictures, torch.zeros(3, 256, 256)), strict=True):
        Image.fromarray((picture.movedim(0, -1) * 255).byte().numpy()).save(folder / f"{name}.png")
    return folder


def test_a_face_adapter_draws_who_it_is_shown(face_libraries, people, tmp_path, root, capsys):
    """FaceID Plus through image encoder and face models; a reference without a face is counted and named."""
    weights = root / "demo" / "weights"
    options = {
        "--image-encoder": weights / "demo_clip_vision.safetensors",
        "--face-models": weights / "insightface" / "models" / "demo",
        "--output": tmp_path / "out",
        "--adapter": weights / "demo_faceid.safetensors",
        "--base": weights / "demo_checkpoint.safetensors",
    }
    numbers = ["--weights", 0, 1, "--per-reference", 4, "--steps", 10, "--guidance", 3.5, "--resolution", 128]
    words = [tmp_path / "drawn", people, *(word for option in options.items() for word in option), *numbers]
    assert evaluate.main([str(word) for word in words]) == 0
    summary = capsys.readouterr().out
    assert "| setting | pictures | CLIP-I | face similarity | attributes |" in summary
    assert "- no face, so not drawn: 1 of 3 references (nobody.png)" in summary
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 2 * 2 * 4
    ignored, followed = (
        [float(x) for row in rows if row["setting"] == f"weight {n}, empty text" and (x := row["face_similarity"])]
        for n in (0, 1)
    )
    without = 16 - len(ignored) - len(followed)
    assert (f"leaves out {without} of 16 pictures, because there is no face in" in summary) == (without > 0)
    assert sum(followed) / len(followed) > sum(ignored) / len(ignored) + 0.4
    judge = load_judge()
    for row in rows:
        made, reference = tmp_path / "drawn" / row["setting"] / row["picture"], people / row["reference"]
        labels = [read_labels(judge, read_picture(path))[0].tolist() for path in (made, reference)]
        alike = [one == other for one, other in zip(*labels, strict=True)]
        assert float(row["attributes"]) == sum(alike) / len(alike)
