"""torch.compile takes the patched attention in one piece and gives what it gives without compiling."""

from dataclasses import replace

import pytest
import torch
from comfy.ldm.modules import attention as host_attention
from factories import make_adapter, make_prompt
from host_support.calls import call_at, patches_of
from host_support.sampling import sample
from host_support.spy import Spy
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule

MASK = {"mask": torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))}
TIMED = {"schedule": WeightSchedule(((0.0, 0.5), (1.0, 1.0))), "end_percent": 0.8}
KINDS = {
    "plain": [{}],
    "masked": [MASK],
    "timed": [TIMED],
    "two adapters": [{}, {"weight": 0.3}],
    "all": [{}, MASK, MASK | TIMED],
}


@pytest.fixture(autouse=True)
def compiler(monkeypatch):
    """The attention that GPU users have; the host's default without a GPU reads the free memory."""
    monkeypatch.setattr(host_attention, "optimized_attention", host_attention.attention_pytorch)
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture(scope="module")
def apply(sd15, sd15_sites):
    adapter = make_adapter(sd15_sites)

    def call(kind: str):
        model = sd15
        for settings in KINDS[kind]:
            model = host.apply(model, adapter, make_prompt(), host.ApplyOptions(**settings))
        return model

    return call


def _compiled(patch, call):
    """The call through the compiler, with plain tensors: it refuses those of inference mode."""
    with torch.inference_mode(False), torch.no_grad():
        plain = replace(call, **{name: getattr(call, name).clone() for name in ("query", "key", "value")})
        function = torch.compile(lambda q, k, v: patch(q, k, v, plain.options), backend="eager", fullgraph=True)
        return function(plain.query, plain.key, plain.value)


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_options_of_a_real_run(apply, kind):
    model, spy = apply(kind), Spy()
    sample(spy.on(model), steps=1)
    for block in (("input", 4, 0), ("middle", 0, 0)):
        call, expected = next((call, out) for at, call, out in spy.calls if at == block)
        assert torch.equal(_compiled(patches_of(model)[block], call), expected), block


@pytest.mark.parametrize("chunks", [[0], [1], [0, 1], [0, 0, 1]], ids=str)
@pytest.mark.parametrize("kind", ["plain", "masked", "two adapters"])
def test_with_every_order_of_rows(sd15_sites, apply, kind, chunks):
    patch, call = patches_of(apply(kind))[sd15_sites[3].block], call_at(sd15_sites[3], chunks, batch=2)
    assert torch.equal(_compiled(patch, call), call.of(patch))
