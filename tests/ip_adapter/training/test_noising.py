"""The noise schedule against diffusers' own scheduler and the formulas of the papers."""

import pytest
import torch
from diffusers import DDPMScheduler
from ip_adapter_nodes.ip_adapter.training.noising import Noising, Prediction
from ip_adapter_nodes.ip_adapter.training.validation import ddim

TIMESTEPS = 1000


@pytest.fixture(scope="module")
def scheduler():
    return DDPMScheduler(TIMESTEPS, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)


def noising(scheduler, prediction) -> Noising:
    """As the host gives its schedule: noise relative to the signal."""
    kept = scheduler.alphas_cumprod
    return Noising.of_sigmas(((1 - kept) / kept).sqrt(), prediction)


@pytest.mark.parametrize("prediction", Prediction)
def test_noisy_latents_and_targets_equal_those_of_diffusers(scheduler, generator, prediction):
    latents, noise = torch.randn(2, 6, 4, 8, 8, generator=generator)
    timesteps = torch.tensor([0, 1, 250, 500, 998, 999])
    noisy, target = noising(scheduler, prediction).noisy(latents, noise, timesteps)
    expected = {Prediction.NOISE: noise, Prediction.VELOCITY: scheduler.get_velocity(latents, noise, timesteps)}
    torch.testing.assert_close(noisy, scheduler.add_noise(latents, noise, timesteps), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(target, expected[prediction], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("prediction", Prediction)
def test_min_snr_weights_by_the_formula(scheduler, prediction):
    weights = noising(scheduler, prediction).min_snr_weights(torch.arange(TIMESTEPS), 5.0)
    for timestep in range(0, TIMESTEPS, 37):
        kept = float(scheduler.alphas_cumprod[timestep])
        ratio = kept / (1 - kept)
        divisor = {Prediction.NOISE: ratio, Prediction.VELOCITY: ratio + 1}[prediction]
        assert float(weights[timestep]) == pytest.approx(min(ratio, 5.0) / divisor, rel=1e-4)


def test_a_timestep_without_signal_has_a_finite_weight():
    schedule = Noising(torch.tensor([0.0]), torch.tensor([1.0]), Prediction.NOISE)
    assert schedule.min_snr_weights(torch.tensor([0]), 5.0).tolist() == [1.0]


@pytest.mark.parametrize("prediction", Prediction)
def test_a_prediction_is_taken_apart_and_followed_to_the_end(scheduler, generator, prediction):
    """A model that knows the picture leads from any noise to it; another one where its last guess lies."""
    schedule, (latents, noise) = noising(scheduler, prediction), torch.randn(2, 3, 4, 8, 8, generator=generator)
    seen = []

    def knowing(noisy, timesteps):
        seen.append(int(timesteps[0]))
        assert timesteps.tolist() == seen[-1:] * 3
        kept = scheduler.alphas_cumprod[seen[-1]]
        rest = (noisy - kept.sqrt() * latents) / (1 - kept).sqrt()
        return rest if prediction is Prediction.NOISE else kept.sqrt() * rest - (1 - kept).sqrt() * latents

    torch.testing.assert_close(ddim(schedule, noise, knowing), latents, rtol=1e-3, atol=1e-3)
    assert (seen[0], seen[-1]) == (TIMESTEPS - 1, 0)
    assert seen == sorted(set(seen), reverse=True)
    kept = scheduler.alphas_cumprod[600]
    noisy, target = schedule.noisy(latents, noise, torch.tensor([600] * 3))
    for part, expected in zip(schedule.parts(noisy, target, 600), (latents, noise), strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(noisy, kept.sqrt() * latents + (1 - kept).sqrt() * noise)
