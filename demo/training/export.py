"""The finished weights as the files that the host's standard loaders read."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ...ip_adapter.recognition.variant import KIND_METADATA
from ...ip_adapter.training.trainable import TrainableAdapter
from ...models.facts import Kind
from ..files import FACE_PACK
from ..judge import JUDGE
from . import (
    adapter,
    autoencoder,
    classifier,
    control_lora,
    face_adapter,
    face_detector,
    face_recogniser,
    image_encoder,
    lora,
    plus_adapter,
    sibling,
    t2i_adapter,
    text_to_image,
    with_pictures,
)
from .run import Recipe, save_weights
from .shipped import ADAPTER, CHECKPOINT, IMAGE_ENCODER

LICENCE = "Apache-2.0, trained from nothing but the renderer in demo/world.py"


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


FROM_NOTHING = {
    "autoencoder": autoencoder.RECIPE,
    "text_to_image": text_to_image.RECIPE,
    "first_adapter": adapter.RECIPE,
    "with_pictures": with_pictures.RECIPE,
}


def _base_recipes(earlier: Path | None) -> dict[str, Recipe]:
    """Of the stages that the base went through since an earlier version's weights, or since nothing."""
    return {"with_pictures": with_pictures.CONTINUED} if earlier else FROM_NOTHING


def _facts(earlier: Path | None, name: str) -> dict[str, str]:
    """Licence, and how the weights that a training went on with were made, from their file's metadata."""
    facts = {"licence": LICENCE}
    if earlier is None:
        return facts
    with safe_open(earlier / name, "pt") as content:
        known = content.metadata()
    return facts | {f"earlier.{key}": value for key, value in known.items() if key.startswith(("recipe.", "earlier."))}


def export_base(
    target: Path, model: text_to_image.TextToImage, vae: autoencoder.Autoencoder, earlier: Path | None = None
) -> None:
    """The checkpoint for the host's checkpoint loader: UNet, text encoder and autoencoder."""
    tensors = (
        _prefixed("model.diffusion_model.", model.unet.state_dict())
        | _prefixed("cond_stage_model.clip_demo.transformer.", model.text.state_dict())
        | _prefixed("first_stage_model.", autoencoder.stock_state_dict(vae))
    )
    save_weights(target / CHECKPOINT, tensors, _base_recipes(earlier).items(), **_facts(earlier, CHECKPOINT))


def export_image_encoder(target: Path, model: nn.Module) -> None:
    recipes = {"teacher": classifier.TEACHER, "image_encoder": image_encoder.RECIPE}
    save_weights(target / IMAGE_ENCODER, model.state_dict(), recipes.items(), licence=LICENCE)


def export_adapter(target: Path, model: TrainableAdapter, earlier: Path | None = None) -> None:
    recipes = _base_recipes(earlier) | {"adapter": adapter.CONTINUED}
    save_weights(target / ADAPTER, model.published(), recipes.items(), **_facts(earlier, ADAPTER))


def export_plus_adapter(target: Path, model: TrainableAdapter) -> None:
    recipes = {"plus_adapter": plus_adapter.RECIPE}
    save_weights(target / "demo_ip_adapter_plus.safetensors", model.published(), recipes.items(), licence=LICENCE)


def export_control_lora(target: Path, model: control_lora.TrainableControl) -> None:
    """In eight bits a number, which the host widens when it builds the ControlNet."""
    tensors = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in model.published_state_dict().items()}
    recipes = {"control_lora": control_lora.RECIPE}
    save_weights(target / "demo_controlnet.safetensors", tensors, recipes.items(), licence=LICENCE)


def export_t2i_adapter(target: Path, model: nn.Module) -> None:
    recipes = {"t2i_adapter": t2i_adapter.RECIPE}
    save_weights(target / "demo_t2i_adapter.safetensors", model.state_dict(), recipes.items(), licence=LICENCE)


def export_lora(target: Path, model: lora.TrainableLora) -> None:
    recipes = {"lora": lora.RECIPE}
    tensors = model.published_state_dict()
    save_weights(target / "demo_lora.safetensors", tensors, recipes.items(), licence=LICENCE)


def export_sibling(target: Path, base: nn.Module, changed: nn.Module) -> None:
    """The difference between the UNets of the base and of its fine-tuned copy."""
    tensors = sibling.difference(base, changed)
    save_weights(target / sibling.SIBLING, tensors, [("sibling", sibling.RECIPE)], licence=LICENCE)


def export_face_pack(target: Path, detector: nn.Module, recogniser: nn.Module) -> None:
    """Detector and recogniser as a pack of ONNX files."""
    from .onnx_file import save_onnx  # only this needs the package onnx

    pack = target / FACE_PACK
    save_onnx(pack / "demo_detector.onnx", detector, {"face_detector": face_detector.RECIPE}, licence=LICENCE)
    save_onnx(pack / "demo_recogniser.onnx", recogniser, {"face_recogniser": face_recogniser.RECIPE}, licence=LICENCE)


def export_face_adapter(target: Path, model: face_adapter.TrainableFaceAdapter) -> None:
    recipes = {"face_adapter": face_adapter.RECIPE}
    facts = {KIND_METADATA: Kind.FACEID_PLUS_V2.value, "licence": LICENCE}
    save_weights(target / "demo_faceid.safetensors", model.published(), recipes.items(), **facts)


def export_judge(target: Path, model: nn.Module) -> None:
    save_weights(target / JUDGE, model.state_dict(), [("judge", classifier.JUDGE)], licence=LICENCE)
