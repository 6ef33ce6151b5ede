"""TensorBoard is told what loss.csv and the folder of drawn pictures hold."""

import csv
import io

import pytest
import torch
from accelerate import tracking as accelerate_tracking
from accelerate.state import AcceleratorState
from host_support.training import config, job, train
from ip_adapter_nodes.ip_adapter.errors import TrainingError
from ip_adapter_nodes.ip_adapter.training.loop import TABLE, Callbacks, Training, make_accelerator
from ip_adapter_nodes.ip_adapter.training.tracking import FOLDER
from ip_adapter_nodes.ip_adapter.training.validation import FOLDER as PICTURES
from ip_adapter_nodes.ip_adapter.training.validation import Validation
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SETTINGS = {"tracker": "tensorboard", "log_every": 1, "measure_every": 2, "warmup_steps": 4, "save_every": 2}


@pytest.fixture(autouse=True)
def inference_mode():
    """Training needs gradients, which the host's mode for nodes forbids."""
    with torch.inference_mode(False):
        yield
    AcceleratorState._reset_state(reset_partial_state=True)


def in_table(folder):
    """Name, step and value of everything in loss.csv, the values in TensorBoard's float32."""
    with (folder / TABLE).open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    cells = [(name, int(row["step"]), value) for row in rows for name, value in row.items() if value]
    return sorted((name, step, float(torch.tensor(float(value)))) for name, step, value in cells if name != "step")


def in_tensorboard(folder):
    events = EventAccumulator(str(folder / FOLDER)).Reload()
    return sorted(
        (name, event.step, event.value) for name in events.Tags()["scalars"] for event in events.Scalars(name)
    )


class _FailedError(Exception):
    pass


def fail_at(step):
    def stepped(now):
        if now == step:
            raise _FailedError

    return Callbacks(stepped=stepped)


def test_tensorboard_shows_the_losses_of_the_table_also_after_a_failure(tmp_path):
    chosen = config(tmp_path, **SETTINGS)
    with pytest.raises(_FailedError):
        Training(job(chosen, held_out=3), make_accelerator(chosen, on_cpu=True)).run(fail_at(3))
    train(chosen, held_out=3)
    told = in_tensorboard(tmp_path)
    assert told == in_table(tmp_path)
    steps = {"held_out": range(0, 7, 2), "learning_rate": range(7), "loss": range(1, 7)}
    assert [(name, step) for name, step, _ in told] == [(name, step) for name in steps for step in steps[name]]


def test_tensorboard_shows_the_pictures_that_are_drawn(tmp_path):
    chosen = config(tmp_path, **SETTINGS | {"steps": 2})
    training = Training(job(chosen, held_out=2), make_accelerator(chosen, on_cpu=True))
    drawing = Validation(training.job.base, training.job.held_out, training.job.nothing, _first_channels)

    def draw(step):
        training.tracking.show(drawing.save(training.objective.adapter, tmp_path, step), step)

    training.run(Callbacks(stepped=draw))
    shown = EventAccumulator(str(tmp_path / FOLDER)).Reload().Images("drawn")
    files = sorted((tmp_path / PICTURES).iterdir())
    assert [event.step for event in shown] == [int(file.stem) for file in files] == [1, 2]
    for event, file in zip(shown, files, strict=True):
        with Image.open(io.BytesIO(event.encoded_image_string)) as one, Image.open(file) as other:
            assert one.size == other.size
            assert one.tobytes() == other.tobytes()


def _first_channels(latents):
    return latents[:, :3].sigmoid()


def test_a_missing_tensorboard_is_named_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerate_tracking, "get_available_trackers", list)
    said = pytest.warns(UserWarning, match="no supported trackers")  # by accelerate
    with (
        said,
        pytest.raises(TrainingError, match=r"Expected tensorboard to be installed\. Install it: pip install tensorb"),
    ):
        make_accelerator(config(tmp_path, **SETTINGS), on_cpu=True)
