"""The noise schedule of a base model, what it predicts, and how much each timestep counts."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from ...models.shapes import Float


class Prediction(str, Enum):
    """What the base model was trained to give for a noisy input."""

    NOISE = "noise"
    VELOCITY = "velocity"  # Salimans and Ho 2022 (arXiv 2202.00512), appendix D


@dataclass(frozen=True, eq=False)
class Noising:
    """`x_t = signal[t] * x_0 + noise[t] * epsilon`, with `signal^2 + noise^2 = 1`."""

    signal: Float[Tensor, " timesteps"]
    noise: Float[Tensor, " timesteps"]
    prediction: Prediction

    @classmethod
    def of_sigmas(cls, sigmas: Float[Tensor, " timesteps"], prediction: Prediction) -> "Noising":
        """The schedule of a model whose noise is given relative to the signal, as samplers do."""
        signal = (sigmas.float().square() + 1).rsqrt()
        return cls(signal, sigmas.float() * signal, prediction)

    def __len__(self) -> int:
        return len(self.signal)

    def noisy(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """The noisy latents, and what the model should predict from them; float32, of the latents' shape."""
        signal, sigma = (values.to(latents.device)[timesteps, None, None, None] for values in (self.signal, self.noise))
        return signal * latents + sigma * noise, _TARGETS[self.prediction](latents, noise, signal, sigma)

    def parts(self, noisy: Tensor, predicted: Tensor, timestep: int) -> tuple[Tensor, Tensor]:
        """The clean latents and the noise that a prediction takes noisy latents to consist of."""
        signal, sigma = float(self.signal[timestep]), float(self.noise[timestep])
        if self.prediction is Prediction.NOISE:
            return (noisy - sigma * predicted) / signal, predicted
        return signal * noisy - sigma * predicted, sigma * noisy + signal * predicted

    def min_snr_weights(self, timesteps: Tensor, gamma: float) -> Float[Tensor, " batch"]:
        """`min(SNR, gamma)` in units of the model's own prediction: `/ SNR` for noise, `/ (SNR + 1)` for velocity.

        Source: Hang et al. 2023 (arXiv 2303.09556), section 3.4.
        """
        signal, sigma = (values.to(timesteps.device)[timesteps] for values in (self.signal, self.noise))
        ratio = (signal / sigma).square()
        if self.prediction is Prediction.NOISE:
            # min(SNR, gamma) / SNR, written so that no signal at all gives 1 and not 0 / 0.
            return (gamma / ratio).clamp(max=1)
        return ratio.clamp(max=gamma) / (ratio + 1)


def _of_noise(_: Tensor, noise: Tensor, __: Tensor, ___: Tensor) -> Tensor:
    return noise


def _of_velocity(latents: Tensor, noise: Tensor, signal: Tensor, sigma: Tensor) -> Tensor:
    return signal * noise - sigma * latents


_TARGETS: dict[Prediction, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    Prediction.NOISE: _of_noise,
    Prediction.VELOCITY: _of_velocity,
}
