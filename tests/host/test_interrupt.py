"""Cancelling anywhere leaves nothing behind: the same work done again gives bitwise what it would have given."""

from contextlib import contextmanager

import comfy.model_management as management
import pytest
import torch
from factories import adapter_tensors, make_adapter, make_prompt
from host_support.clip import pictures, tiny_clip_vision
from host_support.sampling import sample
from host_support.state import digests
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.prompts.encoder import EncodeOptions

Interrupted = management.InterruptProcessingException


@pytest.fixture(autouse=True)
def no_interrupt_left():
    yield
    management.interrupt_current_processing(False)


class CancellingSource(TensorDict):
    """Tensors during whose reading the user cancels, once."""

    def __init__(self, tensors, after: int) -> None:
        super().__init__("cancelled", tensors)
        object.__setattr__(self, "after", after)

    @contextmanager
    def open(self):
        reads = 0

        def read(name):
            nonlocal reads
            reads += 1
            if reads == self.after:
                management.interrupt_current_processing(True)
            return self.tensors[name]

        yield read


def _encode(clip_vision):
    prompt, seen = host.encode_prompt(clip_vision, host.reference(pictures(20, 40, 50)), None, EncodeOptions())
    return prompt.positive.pooled, prompt.positive.penultimate, prompt.zero_picture.pooled, seen


@pytest.mark.parametrize("call", [1, 2])
def test_while_encoding(monkeypatch, call):
    clip_vision = tiny_clip_vision()
    expected = _encode(clip_vision)
    network, calls = clip_vision.model, []

    def cancelling(*arguments, **options):
        calls.append(None)
        management.interrupt_current_processing(len(calls) == call)
        return network(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(clip_vision, "model", cancelling)
        with pytest.raises(Interrupted):
            _encode(clip_vision)
    assert len(calls) == call, "cancelled at once, not after the whole batch"
    assert all(torch.equal(given, wanted) for given, wanted in zip(_encode(clip_vision), expected, strict=True))


@pytest.mark.parametrize("after", [1, 8, 30])
def test_while_applying(sd15, sd15_sites, after):
    tensors, settings = adapter_tensors(sd15_sites), host.ApplyOptions(weight=0.7)
    expected = sample(host.apply(sd15, Adapter.of(TensorDict("whole", tensors)), make_prompt(), settings), steps=2)
    adapter = Adapter.of(CancellingSource(tensors, after))
    before = digests(sd15)
    with pytest.raises(Interrupted):
        host.apply(sd15, adapter, make_prompt(), settings)
    assert digests(sd15) == before
    again = host.apply(sd15, Adapter.of(TensorDict("whole", tensors)), make_prompt(), settings)
    assert torch.equal(sample(again, steps=2), expected)


@pytest.mark.parametrize("step", [0, 2])
def test_while_sampling(sd15, sd15_sites, step):
    mask = torch.rand(1, 30, 30, generator=torch.Generator().manual_seed(0))
    settings = host.ApplyOptions(mask=mask, start_percent=0.2)
    model = host.apply(sd15, make_adapter(sd15_sites), make_prompt(), settings)

    def cancel(at, *others):
        if at == step:
            raise Interrupted

    bare = sample(sd15)
    with pytest.raises(Interrupted):
        sample(model, callback=cancel)
    given = sample(model)
    fresh = host.apply(sd15, make_adapter(sd15_sites), make_prompt(), settings)
    assert torch.equal(given, sample(fresh))
    assert torch.equal(sample(sd15), bare)


def test_in_the_middle_of_an_evaluation(sd15, sd15_sites):
    """The user may cancel while a site computes; the host then unwinds from inside the attention."""
    model = host.apply(sd15, make_adapter(sd15_sites), make_prompt(), host.ApplyOptions(start_percent=0.1))
    expected, broken = sample(model), model.clone()

    def cancel(*arguments):
        raise Interrupted

    broken.set_model_attn2_replace(cancel, "output", 5, 0)
    with pytest.raises(Interrupted):
        sample(broken)
    assert torch.equal(sample(model), expected)
