"""A narrow autoencoder, trained on crops, which `demo/vae.py` pads into the host's tiny autoencoder.

Architecture: TAESD, https://github.com/madebyollin/taesd
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import world
from .run import Recipe, Run

RECIPE = Recipe(samples=120_000, batch=16, learning_rate=2e-3, seed=11)
LATENT_CHANNELS = 4
WIDTHS = (16, 32, 48, 64)  # from full resolution to an eighth
BLOCKS = (1, 1, 1, 2)
STOCK_BLOCKS = (1, 3, 3, 3)  # of the host's class
POOL, CROP, LATENT_NOISE = 6144, 64, 0.05


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        first, second, last = (nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)  # the names of the host's class

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv(x) + x)


class Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


def _levels() -> list[tuple[int, int]]:
    return list(zip(WIDTHS, BLOCKS, strict=True))


def build_encoder() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, WIDTHS[0], 3, padding=1)]
    for level, (width, blocks) in enumerate(_levels()):
        if level:
            layers.append(nn.Conv2d(WIDTHS[level - 1], width, 3, stride=2, padding=1, bias=False))
        layers += [Block(width) for _ in range(blocks)]
    return nn.Sequential(*layers, nn.Conv2d(WIDTHS[-1], LATENT_CHANNELS, 3, padding=1))


def build_decoder() -> nn.Sequential:
    layers: list[nn.Module] = [Clamp(), nn.Conv2d(LATENT_CHANNELS, WIDTHS[-1], 3, padding=1), nn.ReLU()]
    levels = _levels()[::-1]
    for (width, blocks), (following, _) in pairwise(levels):
        layers += [Block(width) for _ in range(blocks)]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, following, 3, padding=1, bias=False)]
    layers += [Block(levels[-1][0]) for _ in range(levels[-1][1])]
    return nn.Sequential(*layers, nn.Conv2d(WIDTHS[0], 3, 3, padding=1))


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = build_encoder(), build_decoder()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Block):  # each block starts as the identity; PyTorch's default start stalls
                nn.init.zeros_(module.conv.get_parameter("4.weight"))

    def encode(self, pictures: Tensor) -> Tensor:
        return self.encoder(pictures)

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)


def picture_pool(count: int, generator: torch.Generator) -> Tensor:
    """Rendered pictures as bytes, (count, 3, 128, 128)."""
    parts = [world.render(world.sample_styled_scenes(64, generator)) for _ in range(count // 64)]
    return (torch.cat(parts) * 255).round().to(torch.uint8)


def _crops(pool: Tensor, batch: int, generator: torch.Generator) -> Tensor:
    rows = torch.randint(len(pool), (batch,), generator=generator)
    corners = torch.randint(pool.shape[-1] - CROP + 1, (batch, 2), generator=generator).tolist()
    crops = [pool[row, :, y : y + CROP, x : x + CROP] for row, (y, x) in zip(rows.tolist(), corners, strict=True)]
    return (torch.stack(crops).float() / 255).contiguous(memory_format=torch.channels_last)


def _loss(model: Autoencoder, pictures: Tensor, generator: torch.Generator) -> Tensor:
    latents = model.encode(pictures)
    noise = torch.randn(latents.shape, generator=generator) * LATENT_NOISE
    restored = model.decode(latents + noise)
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    unit = mean.square().mean() + deviation.log().square().mean()
    return functional.l1_loss(restored, pictures) + 2 * functional.mse_loss(restored, pictures) + 0.02 * unit


def psnr(model: Autoencoder, pictures: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture after encoding and decoding, in dB."""
    with torch.no_grad():
        restored = model.decode(model.encode(pictures)).clamp(0, 1)
    return -10 * (restored - pictures).square().mean(dim=(1, 2, 3)).log10()


def train(folder: Path) -> Autoencoder:
    """Trains (or loads, when it is finished) the narrow autoencoder."""
    torch.manual_seed(RECIPE.seed)
    model: Autoencoder = Autoencoder().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    run = Run("autoencoder", RECIPE, model, folder)
    if run.step * RECIPE.batch < RECIPE.samples:
        pool = picture_pool(POOL, torch.Generator().manual_seed(1))
        held_out = world.render(world.sample_styled_scenes(48, torch.Generator().manual_seed(2)))
        run.train(
            lambda: _loss(model, _crops(pool, run.batch, run.generator), run.generator),
            lambda: f"PSNR {psnr(model, held_out).mean():.1f} dB",
        )
    model.load_state_dict(run.average)
    return model.eval()


def _numbered(net: nn.Sequential, levels: tuple[int, ...]) -> Iterator[tuple[int, nn.Module]]:
    """The net's layers with their numbers in the host's class, which has more blocks at every level."""
    wanted, number, blocks = iter(levels), 0, 0
    for layer in net:
        if blocks and not isinstance(layer, Block):
            number, blocks = number + next(wanted) - blocks, 0
        yield number, layer
        number, blocks = number + 1, blocks + isinstance(layer, Block)


def _parts(model: Autoencoder) -> Iterator[tuple[str, nn.Module]]:
    nets = {"taesd_encoder": (model.encoder, STOCK_BLOCKS), "taesd_decoder": (model.decoder, STOCK_BLOCKS[::-1])}
    for prefix, (net, levels) in nets.items():
        for number, layer in _numbered(net, levels):
            yield f"{prefix}.{number}", layer


def stock_state_dict(model: Autoencoder) -> dict[str, Tensor]:
    """The weights under the names, not in the shapes, of the host's `TAESD` class."""
    tensors = {"vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)}
    for place, layer in _parts(model):
        tensors |= {f"{place}.{name}": tensor for name, tensor in layer.state_dict().items()}
    return tensors


def from_stock(tensors: dict[str, Tensor]) -> Autoencoder:
    """The autoencoder whose `stock_state_dict` these tensors are."""
    model = Autoencoder()
    for place, layer in _parts(model):
        layer.load_state_dict({name: tensors[f"{place}.{name}"] for name in layer.state_dict()})
    return model.eval()
