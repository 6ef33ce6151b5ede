"""The loss on the host's UNet: against diffusers' own adapter, and what it teaches and leaves alone."""

import pytest
import torch
from diffusers import DDPMScheduler
from factories import randomise, relative_error
from host_support.diffusers_twin import load_adapter, pair
from host_support.training import CONTEXT_WIDTH, tiny_base
from ip_adapter_nodes.ip_adapter.errors import WrongBaseError
from ip_adapter_nodes.ip_adapter.host.denoiser import HostDenoiser
from ip_adapter_nodes.ip_adapter.training.batch import Batch, Text, UncondBatch
from ip_adapter_nodes.ip_adapter.training.drops import Drops
from ip_adapter_nodes.ip_adapter.training.kinds import projector_for
from ip_adapter_nodes.ip_adapter.training.loss import Objective, Weighting
from ip_adapter_nodes.ip_adapter.training.noise import Draw
from ip_adapter_nodes.ip_adapter.training.noising import Noising, Prediction
from ip_adapter_nodes.ip_adapter.training.trainable import TrainableAdapter
from ip_adapter_nodes.models.facts import Kind, Widths
from torch.nn import functional

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:diffusers")
DROPS = Drops(0.25, 0.25, 0.25)
CHANCES = torch.tensor([0.1, 0.4, 0.6, 0.9])  # picture, text, both and nothing are dropped
GAMMA = 5.0
SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


@pytest.fixture(autouse=True)
def inference_mode():
    """Training needs gradients, which the host's mode for nodes forbids."""
    with torch.inference_mode(False):
        yield


def inputs(generator, widths: Widths, image: tuple[int, ...], tokens: int = 5):
    """A batch of four samples, what stands for nothing, and what chance draws."""

    def random(*shape):
        return torch.randn(*shape, generator=generator)

    batch = Batch(random(4, 4, 8, 8), Text(random(4, tokens, widths.context), None), (random(4, *image),))
    nothing = UncondBatch(Text(random(1, tokens, widths.context), None), (torch.zeros(1, *image),))
    return batch, nothing, Draw(random(4, 4, 8, 8), torch.tensor([3, 250, 700, 999]), CHANCES)


@pytest.fixture(scope="module")
def twin():
    """A host UNet of SD1.5's topology, and diffusers' with the same weights."""
    with torch.inference_mode(False):
        model, unet = pair("sd15")
        return model.model.diffusion_model, unet.requires_grad_(False)


@pytest.mark.parametrize("prediction", Prediction)
@pytest.mark.parametrize(("kind", "image"), [(Kind.STANDARD, (48,)), (Kind.PLUS, (9, 48))])
def test_the_loss_is_that_of_diffusers(twin, generator, prediction, kind, image):
    """diffusers' UNet, scheduler and adapter layers; the drops and min-SNR are written out here."""
    host_unet, unet = twin
    scheduler = DDPMScheduler(1000, **SCHEDULE)
    ratio = scheduler.alphas_cumprod / (1 - scheduler.alphas_cumprod)
    base = HostDenoiser(host_unet, Noising.of_sigmas(ratio.rsqrt(), prediction))
    adapter = TrainableAdapter(host_unet, projector_for(kind, Widths(768, 48)))
    randomise(adapter.image_proj, generator)
    batch, nothing, draw = inputs(generator, Widths(768, 48), image)

    load_adapter(unet, adapter.published(), 1.0)
    context, features = batch.text.context.clone(), batch.image[0].clone()
    features[[0, 2]], context[[1, 2]] = nothing.image[0], nothing.text.context
    noisy = scheduler.add_noise(batch.latents, draw.noise, draw.timesteps)
    with torch.no_grad():
        predicted = unet(noisy, draw.timesteps, context, added_cond_kwargs={"image_embeds": [features[:, None]]}).sample
    if prediction is Prediction.VELOCITY:
        target = scheduler.get_velocity(batch.latents, draw.noise, draw.timesteps)
        weights = ratio[draw.timesteps].clamp(max=GAMMA) / (ratio[draw.timesteps] + 1)
    else:
        target, weights = draw.noise, (GAMMA / ratio[draw.timesteps]).clamp(max=1)
    errors = [float(functional.mse_loss(*rows)) for rows in zip(predicted, target, strict=True)]

    plain, weighted = (
        Objective(adapter, base, nothing, Weighting(DROPS, gamma))(batch, draw).detach() for gamma in (None, GAMMA)
    )
    assert float(plain) == pytest.approx(sum(errors) / 4, rel=1e-6)
    assert float(weighted) == pytest.approx(float((torch.tensor(errors) * weights).mean()), rel=1e-6)


def test_matrices_start_as_copies_of_those_of_the_text_in_published_order(twin):
    host_unet, unet = twin
    adapter = TrainableAdapter(host_unet, projector_for(Kind.STANDARD, Widths(768, 48)))
    text = unet.state_dict()
    # diffusers keeps its processors, self- and cross-attentions in turn, in the order the published numbers follow.
    paths = [name.removesuffix(".processor") for name in unet.attn_processors]
    given = {name: tensor for name, tensor in adapter.published().items() if name.startswith("ip_adapter.")}
    expected = {
        f"ip_adapter.{number}.to_{x}_ip.weight": text[f"{path}.to_{x}.weight"]
        for number, path in enumerate(paths)
        if "attn2" in path
        for x in "kv"
    }
    assert given.keys() == expected.keys()
    assert len(given) == 32
    assert all(torch.equal(given[name], expected[name]) for name in given)


@pytest.fixture
def tiny():
    return tiny_base()


CASES = [(Kind.STANDARD, [(48,)]), (Kind.PLUS, [(9, 48)]), (Kind.FULL_FACE, [(9, 48)]), (Kind.FACEID, [(512,)])]
CASES += [(Kind.FACEID_PLUS_V2, [(512,), (9, 48)]), (Kind.FACEID_PORTRAIT_UNNORM, [(1, 512)])]
RANKS = {Kind.FACEID: 3, Kind.FACEID_PLUS_V2: 3}


def objective(base, kind, image, generator):
    adapter = TrainableAdapter(base.unet, projector_for(kind, Widths(CONTEXT_WIDTH, 48)), RANKS.get(kind, 0))
    batch, nothing, draw = inputs(generator, Widths(CONTEXT_WIDTH, 48), image[0])
    extra = [torch.randn(4, *shape, generator=generator) for shape in image[1:]]
    batch = Batch(batch.latents, batch.text, (*batch.image, *extra))
    nothing = UncondBatch(nothing.text, (*nothing.image, *(torch.zeros_like(part[:1]) for part in extra)))
    return Objective(adapter, base, nothing, Weighting(DROPS)), batch, draw


@pytest.mark.parametrize(("kind", "image"), CASES, ids=[kind.value for kind, _ in CASES])
def test_gradients_reach_all_of_the_adapter_and_the_base_stays_bitwise(tiny, generator, kind, image):
    before = {name: tensor.clone() for name, tensor in tiny.unet.state_dict().items()}
    module, batch, draw = objective(tiny, kind, image, generator)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    for _ in range(2):
        module(batch, draw).backward()
        optimizer.step()
    unmoved = [name for name, parameter in module.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert unmoved == []
    assert all(parameter.grad is None for parameter in tiny.unet.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny.unet.state_dict().items())
    parts = {name.split(".")[1] for name, _ in module.named_parameters()}
    assert parts == {"image_proj", "ip_adapter"}


@pytest.mark.parametrize(("kind", "image"), [(Kind.STANDARD, [(48,)]), (Kind.FACEID, [(512,)])])
def test_recomputing_blocks_changes_no_gradient(tiny, generator, kind, image):
    module, batch, draw = objective(tiny, kind, image, generator)
    randomise(module.adapter, generator)  # also the half of a LoRA that starts at zero
    module(batch, draw).backward()
    gradients = [parameter.grad.clone() for parameter in module.parameters()]
    module.zero_grad()
    tiny.recompute_blocks()
    tiny.recompute_blocks()
    module(batch, draw).backward()
    for parameter, gradient in zip(module.parameters(), gradients, strict=True):
        assert relative_error(parameter.grad, gradient) <= 1e-6


def test_a_base_without_cross_attention_is_refused():
    with pytest.raises(WrongBaseError, match="cross-attentions read tokens of width 128, got widths of none"):
        TrainableAdapter(torch.nn.Linear(2, 2), projector_for(Kind.STANDARD, Widths(128, 48)))
