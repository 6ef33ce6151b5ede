"""The loop: the same end however often it is stopped, and what it does when something fails."""

import resource
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from factories import relative_error
from host_support.training import config, job, train
from ip_adapter_nodes.ip_adapter.errors import SettingError, TrainingError
from ip_adapter_nodes.ip_adapter.training.loop import (
    PICTURE,
    RESULT,
    STATE,
    TABLE,
    Callbacks,
    Outcome,
    Training,
    make_accelerator,
)
from PIL import Image
from safetensors.torch import load_file


@pytest.fixture(autouse=True)
def inference_mode():
    """Training needs gradients, which the host's mode for nodes forbids."""
    with torch.inference_mode(False):
        yield
    AcceleratorState._reset_state(reset_partial_state=True)  # another precision in this process


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


FACES = {"kind": "faceid", "lora_rank": 3}
MORE = {"ema": 0.9, "accumulation": 2, "min_snr": 5.0, "warmup_steps": 5}


@pytest.mark.parametrize("settings", [{}, MORE, FACES | {"ema": 0.9}], ids=str)
def test_a_stopped_training_ends_bitwise_as_one_that_was_not(tmp_path, settings):
    straight, stopped = config(tmp_path / "straight", **settings), config(tmp_path / "stopped", **settings)
    _, outcome = train(straight, held_out=3)
    assert outcome is Outcome.FINISHED
    for step in (1, 3, 4):
        training, outcome = train(stopped, stop_after=step, held_out=3)
        assert (outcome, training.step) == (Outcome.INTERRUPTED, step)
    train(stopped, held_out=3)
    for name in (RESULT, STATE):
        assert equal(load_file(stopped.output / name), load_file(straight.output / name))
    assert (stopped.output / TABLE).read_text() == (straight.output / TABLE).read_text()


def test_two_half_batches_make_the_step_of_a_whole_one(tmp_path):
    halves, _ = train(config(tmp_path / "halves", steps=2, batch=2, accumulation=2))
    whole, _ = train(config(tmp_path / "whole", steps=2, batch=4))
    # Not element by element: AdamW makes whole steps of gradients that are hardly more than rounding.
    errors = [relative_error(halves.weights()[name], tensor) for name, tensor in whole.weights().items()]
    assert max(errors) <= 1e-4


def test_the_average_follows_the_weights(tmp_path):
    chosen = config(tmp_path, steps=3, ema=0.2)
    expected = {}
    for step in range(1, 4):
        training, _ = train(replace(chosen, steps=step))
        now = training.objective.adapter.published()
        keep = min(0.2, (1 + step) / (10 + step))
        # The start is not known from outside, so the first average is taken as given.
        expected = (
            {name: keep * expected[name] + (1 - keep) * now[name] for name in now}
            if expected
            else {name: tensor.clone() for name, tensor in training.weights().items()}
        )
    for name, tensor in load_file(tmp_path / RESULT).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-7)


def test_training_lowers_the_loss_and_the_curve_shows_it(tmp_path):
    training, _ = train(
        config(tmp_path, steps=20, batch=4, log_every=5, measure_every=10, learning_rate=1e-2), held_out=8
    )
    rows = [line.split(",") for line in (tmp_path / TABLE).read_text().splitlines()]
    assert rows[0] == ["step", "loss", "held_out", "learning_rate"]
    assert [row[0] for row in rows[1:]] == ["0", "5", "10", "15", "20"]
    measured = [float(row[2]) for row in rows[1:] if row[2]]
    assert len(measured) == 3
    assert measured == sorted(measured, reverse=True)
    assert training.held_out_loss() == measured[-1]
    with Image.open(tmp_path / PICTURE) as picture:
        assert picture.size == (800, 420)
        assert len(picture.getcolors(10_000)) > 10


@pytest.mark.parametrize("settings", [{}, FACES], ids=str)
def test_half_precision_computes_in_it_and_learns_in_float32(tmp_path, settings):
    training, _ = train(config(tmp_path, precision="bfloat16", steps=2, **settings))
    assert next(training.job.base.unet.parameters()).dtype is torch.bfloat16
    assert {tensor.dtype for tensor in training.weights().values()} == {torch.float32}
    assert all(bool(tensor.isfinite().all()) for tensor in training.weights().values())


def test_gradients_are_shortened_to_the_largest_allowed(tmp_path):
    free, _ = train(config(tmp_path / "free", steps=1))
    bound, _ = train(config(tmp_path / "bound", steps=1, largest_gradient=1e-12))
    moved = [
        sum(float((t - s).abs().sum()) for t, s in zip(*pair, strict=True)) for pair in _moves(tmp_path, free, bound)
    ]
    assert moved[1] < 0.1 * moved[0]


def _moves(tmp_path, *trainings):
    start, _ = train(config(tmp_path / "start", steps=1, learning_rate=1e-30, weight_decay=0.0))
    return [(t.weights().values(), start.weights().values()) for t in trainings]


def test_other_settings_do_not_go_on_from_a_state(tmp_path):
    train(config(tmp_path), stop_after=2)
    with pytest.raises(SettingError, match=r"learning_rate was 0.001 and is 0.002.*name another output"):
        train(config(tmp_path, learning_rate=2e-3))
    training, _ = train(config(tmp_path, steps=8, save_every=5))
    assert training.step == 8


def test_another_base_of_the_same_name_does_not_go_on(tmp_path):
    chosen = config(tmp_path)
    train(chosen, stop_after=2)
    other = job(chosen)
    other.base.unet.middle_block[1].transformer_blocks[0].attn2.to_k.weight.data[0, 0] += 1e-3
    with pytest.raises(SettingError, match=r"base_weights was [0-9a-f]{16} and is [0-9a-f]{16}"):
        Training(other, make_accelerator(chosen, on_cpu=True))


@pytest.fixture
def full_disk():
    """From the call on, files of this process can be written up to 20 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_and_what_was_saved_is_kept(tmp_path, full_disk):
    train(config(tmp_path), stop_after=2)
    before = (tmp_path / STATE).read_bytes()
    full_disk()
    with pytest.raises(TrainingError, match=r"resume.safetensors cannot be written .*make room and start again"):
        train(config(tmp_path))
    assert (tmp_path / STATE).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([RESULT, STATE, TABLE, PICTURE])


def test_a_loss_that_is_no_number_stops_and_spoils_no_state(tmp_path):
    train(config(tmp_path), stop_after=2)
    before = (tmp_path / STATE).read_bytes()
    training = Training(job(config(tmp_path)), make_accelerator(config(tmp_path), on_cpu=True))
    training.objective.adapter.image_proj.norm.bias.data.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"The loss is NaN or infinite at step 4.*holds the last state that"):
        training.run(Callbacks())
    assert (tmp_path / STATE).read_bytes() == before


def test_a_damaged_state_is_named(tmp_path):
    (tmp_path / STATE).write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="Delete it to start from the beginning"):
        train(config(tmp_path))
