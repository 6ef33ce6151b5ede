"""`run.py evaluate` with the demonstration's image encoder, through the host's own loader."""

import csv
from pathlib import Path

import pytest
import torch
from factories import relative_error
from ip_adapter_nodes.demo import vocabulary, world
from ip_adapter_nodes.ip_adapter.host.clip_text import text_features
from ip_adapter_nodes.ip_adapter.host.drawing import Protocol
from ip_adapter_nodes.ip_adapter.host.evaluate_command import main
from ip_adapter_nodes.ip_adapter.host.training import load_checkpoint, load_packs
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
        assert grid.size == (3 * 160, 2 * 160)


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
        assert grid.size == (9 * 160, 2 * 160)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "drawn").rglob("*.png")}
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "drawn").rglob("*.png")}


def test_the_defaults_are_the_papers_protocol():
    paper = Protocol()
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
