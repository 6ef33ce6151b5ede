"""Training in processes of its own: killed, interrupted, and shared by two."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from factories import relative_error
from host_support.training import config, train
from ip_adapter_nodes.demo import world
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.training.loop import RESULT, STATE, TABLE
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from waiting import HANG, wait_until

# Relative; other samples move tensors by more than 2e-3, and the half of a LoRA that starts at zero by more than 1.
ROUNDING, ROUNDING_FROM_ZERO = 1e-4, 1e-2
SETTINGS = {"steps": 100_000, "resolution": 64, "batch": 2, "save_every": 2, "log_every": 1, "held_out": 2}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def settings(tmp_path, root) -> Path:
    """A training on six pictures of the demonstration's world, of which one is broken, and on its weights."""
    data = tmp_path / "data"
    data.mkdir()
    scenes = world.sample_scenes(6, torch.Generator().manual_seed(0))
    for number, picture in enumerate(world.render(scenes, 64)):
        Image.fromarray((picture.movedim(0, -1) * 255).byte().numpy()).save(data / f"{number}.png")
        (data / f"{number}.txt").write_text(world.caption(scenes.labels[number].tolist()), encoding="utf-8")
    (data / "0.png").write_bytes(b"no picture")
    weights = root / "demo" / "weights"
    paths = {"base": weights / "demo_checkpoint.safetensors", "image_encoder": weights / "demo_clip_vision.safetensors"}
    lines = paths | {"data": data, "output": tmp_path / "out"} | SETTINGS
    lines = {name: str(value) if isinstance(value, Path) else value for name, value in lines.items()}
    lines["custom_nodes"] = [str(root / "demo")]
    file = tmp_path / "demo.toml"
    file.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in lines.items()), encoding="utf-8")
    return file


def start(root: Path, settings: Path, log: Path) -> subprocess.Popen:
    host = os.environ["IP_ADAPTER_NODES_HOST"]
    command = [sys.executable, str(root / "launcher" / "bootstrap.py"), host, "cli.train"]
    with log.open("w") as file:
        return subprocess.Popen([*command, str(settings)], stderr=file, stdout=file, env=ENVIRONMENT)


def saved(folder: Path) -> dict:
    """What the state in a folder says of itself."""
    with safe_open(folder / STATE, "pt") as file:
        return json.loads(file.metadata()["training"])


def saved_step(folder: Path) -> int:
    return saved(folder)["step"] if (folder / STATE).is_file() else 0


def wait_for_step(folder: Path, step: int, process: subprocess.Popen, log: Path) -> None:
    wait_until(lambda: saved_step(folder) >= step, lambda: process.poll() is None, log.read_text)


def test_a_killed_training_loses_at_most_the_interval_and_an_interrupted_one_nothing(root, settings, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log.txt"
    process = start(root, settings, log)
    wait_for_step(out, 4, process, log)
    process.kill()
    process.wait()
    kept, done = saved_step(out), log.read_text().count(": loss ")
    assert done - kept <= SETTINGS["save_every"]

    process = start(root, settings, log)
    wait_for_step(out, kept + 2, process, log)
    process.send_signal(signal.SIGINT)
    assert process.wait(HANG) == 130
    text = log.read_text()
    assert f"Training from step {kept} to 100000 on cpu." in text
    assert f"Interrupted at step {saved_step(out)}: {out / RESULT}" in text
    assert "5 pictures used; 1 broken and skipped (0.png)" in text
    assert Adapter.load(out / RESULT).spec.tokens == 4
    steps = [int(line.split(",")[0]) for line in (out / TABLE).read_text().splitlines()[1:]]
    assert steps == list(range(saved_step(out) + 1))


def test_two_processes_train_what_one_does_with_the_whole_batch(root, tmp_path):
    script = str(Path(__file__).parent / "support" / "train_processes.py")
    # The option's name notwithstanding, it is what starts several processes, here on the CPU.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    arguments = [*launch, script, str(root), str(tmp_path / "two"), "2"]
    result = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, timeout=HANG, check=False)
    assert result.returncode == 0, result.stderr
    with torch.inference_mode(False):
        train(config(tmp_path / "one", batch=4, steps=3, log_every=3, seed=4, kind="faceid", lora_rank=3), held_out=2)
    one, two = (tmp_path / count for count in ("one", "two"))
    assert [saved(folder)["processes"] for folder in (one, two)] == [1, 2]
    weights = [load_file(folder / RESULT) for folder in (one, two)]
    # Not element by element: AdamW makes whole steps of gradients that are hardly more than rounding.
    errors = {name: relative_error(weights[1][name], tensor) for name, tensor in weights[0].items()}
    assert max(error for name, error in errors.items() if "_lora.up." not in name) <= ROUNDING
    assert max(error for name, error in errors.items() if "_lora.up." in name) <= ROUNDING_FROM_ZERO


def test_the_command_names_what_is_wrong(tmp_path, capsys, monkeypatch):
    command = importlib.import_module("ip_adapter_nodes.cli.train")
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    assert command.main([str(tmp_path / "none.toml")]) == 1
    assert "none.toml cannot be read" in capsys.readouterr().err
