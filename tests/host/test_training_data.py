"""Training on tar shards that are read as they come up: a stopped training ends as one that was not."""

import io
import tarfile

import pytest
import torch
from accelerate.state import AcceleratorState
from host_support.training import CONTEXT_WIDTH, FEATURES, config, job
from ip_adapter_nodes.ip_adapter.training.batch import Batch, Text
from ip_adapter_nodes.ip_adapter.training.loop import RESULT, Callbacks, Training, make_accelerator
from ip_adapter_nodes.ip_adapter.training.samples import Encoded
from ip_adapter_nodes.ip_adapter.training.sources import find_data
from ip_adapter_nodes.models.facts import Kind
from PIL import Image
from safetensors.torch import load_file


@pytest.fixture(autouse=True)
def inference_mode():
    """Training needs gradients, which the host's mode for nodes forbids."""
    with torch.inference_mode(False):
        yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def shards(tmp_path):
    """Three shards of three pictures, of which one is broken."""
    generator = torch.Generator().manual_seed(0)
    for shard in range(3):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as tar:
            for number in range(3):
                out, pixels = io.BytesIO(), torch.randint(256, (8, 8, 3), generator=generator, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(out, "PNG")
                content = {"png": out.getvalue()[: 50 if (shard, number) == (1, 1) else None], "txt": b"x" * number}
                for ending, data in content.items():
                    member = tarfile.TarInfo(f"{number}.{ending}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return tmp_path


class Pixels:
    """Encoders that put a picture's pixels and the length of its caption where the tiny base looks for them."""

    identity = "pixels"

    def encode(self, picture, caption):
        latents = torch.cat([picture, picture.mean(dim=1, keepdim=True)], dim=1)
        text = Text(torch.full((1, 5, CONTEXT_WIDTH), float(len(caption))), None)
        return Batch(latents, text, (picture.flatten(1)[:, : FEATURES[Kind.STANDARD]],))


def train(folder, shards, stop_after=None):
    pictures, account = find_data(shards, folder)
    chosen = config(folder, steps=8)
    samples = Encoded(pictures, Pixels(), account)
    given = job(chosen)
    training = Training(type(given)(**(vars(given) | {"samples": samples})), make_accelerator(chosen, on_cpu=True))
    training.run(Callbacks(should_stop=lambda: training.step == stop_after))
    return account


def test_a_stopped_training_on_shards_ends_bitwise_as_one_that_was_not(shards, tmp_path):
    account = train(tmp_path / "straight", shards)
    assert list(account.broken) == ["1.tar/1"]
    for step in (3, 5):
        train(tmp_path / "stopped", shards, stop_after=step)
    train(tmp_path / "stopped", shards)
    one, other = (load_file(tmp_path / name / RESULT) for name in ("straight", "stopped"))
    assert all(torch.equal(one[name], other[name]) for name in one)
