"""The finished weights as the files that the host's standard loaders read."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from . import adapter, autoencoder, classifier, image_encoder, text_to_image
from .run import save_weights

LICENCE = "Apache-2.0, trained from nothing but the renderer in demo/world.py"


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def export_base(target: Path, model: text_to_image.TextToImage, vae: autoencoder.Autoencoder) -> None:
    """The checkpoint for the host's checkpoint loader: UNet, text encoder and autoencoder."""
    tensors = (
        _prefixed("model.diffusion_model.", model.unet.state_dict())
        | _prefixed("cond_stage_model.clip_demo.transformer.", model.text.state_dict())
        | _prefixed("first_stage_model.", autoencoder.stock_state_dict(vae))
    )
    recipes = {"autoencoder": autoencoder.RECIPE, "text_to_image": text_to_image.RECIPE}
    save_weights(target / "demo_checkpoint.safetensors", tensors, recipes.items(), licence=LICENCE)


def export_image_encoder(target: Path, model: nn.Module) -> None:
    recipes = {"teacher": classifier.TEACHER, "image_encoder": image_encoder.RECIPE}
    save_weights(target / "demo_clip_vision.safetensors", model.state_dict(), recipes.items(), licence=LICENCE)


def export_adapter(target: Path, model: adapter.TrainableAdapter) -> None:
    recipes = {"adapter": adapter.RECIPE}
    tensors = model.published_state_dict()
    save_weights(target / "demo_ip_adapter.safetensors", tensors, recipes.items(), licence=LICENCE)


def export_judge(target: Path, model: nn.Module) -> None:
    save_weights(target / "demo_judge.safetensors", model.state_dict(), [("judge", classifier.JUDGE)], licence=LICENCE)
