"""The optimiser: AdamW's own formula, and a memory that goes into a file and comes back."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.training.optimizer import make_optimizer, optimizer_tensors, restore_optimizer
from torch import nn

RATE, DECAY, BETAS, EPSILON = 0.1, 0.2, (0.9, 0.999), 1e-8


@pytest.fixture(autouse=True)
def inference_mode():
    with torch.inference_mode(False):
        yield


def stepped(module, optimizer, gradients):
    for gradient in gradients:
        module.weight.grad = gradient.clone()
        optimizer.step()
    return module.weight.detach().clone()


def test_steps_are_those_of_the_formula(generator):
    """Loshchilov and Hutter 2017 (arXiv 1711.05101), algorithm 2."""
    module, gradients = nn.Linear(5, 3, bias=False), torch.randn(4, 3, 5, generator=generator)
    weight, first, second = module.weight.detach().double(), 0.0, 0.0
    for step, gradient in enumerate(gradients.double(), start=1):
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
        moved = first / (1 - BETAS[0] ** step) / ((second / (1 - BETAS[1] ** step)).sqrt() + EPSILON)
        weight = weight - RATE * (moved + DECAY * weight)
    given = stepped(module, make_optimizer(module, RATE, DECAY), gradients)
    torch.testing.assert_close(given.double(), weight, rtol=1e-6, atol=1e-6)


def test_a_restored_memory_steps_bitwise_the_same(generator):
    gradients = torch.randn(6, 3, 5, generator=generator)
    module = nn.Linear(5, 3, bias=False)
    other = nn.Linear(5, 3, bias=False)
    optimizer, restored = (make_optimizer(one, RATE, DECAY) for one in (module, other))
    other.weight.data.copy_(stepped(module, optimizer, gradients[:3]))
    kept = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer, module)}
    assert kept.keys() == {"weight/step", "weight/exp_avg", "weight/exp_avg_sq"}
    restore_optimizer(restored, other, kept)
    assert torch.equal(stepped(module, optimizer, gradients[3:]), stepped(other, restored, gradients[3:]))
