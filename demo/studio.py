"""The demo family in the host's own nodes, in this process: a text, a reference and a weight in, a picture out."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
import torch
from torch import Tensor

from ..ip_adapter.host import register_folder
from ..nodes.apply import ApplyIPAdapter
from ..nodes.encode import EncodeImagePrompt
from ..nodes.load import LoadIPAdapter
from . import clip_vision, model, t2i_adapter
from .files import WEIGHTS

host_nodes: Any = importlib.import_module("nodes")  # the host's; for type checkers this name is our own package

SIZE, STEPS, CFG, SAMPLER, SCHEDULER = 128, 20, 2.0, "ddim", "ddim_uniform"


def _run(node: Any, **inputs: Any) -> tuple[Any, ...]:
    instance = node()
    return getattr(instance, node.FUNCTION)(**inputs)


@dataclass(frozen=True)
class Structure:
    """A ControlNet or T2I-Adapter, and the edges it follows as a host IMAGE."""

    net: Any
    edges: Tensor

    def applied(self, positive: Any, negative: Any) -> tuple[Any, ...]:
        """Both conditionings with it."""
        node, settings = host_nodes.ControlNetApplyAdvanced, {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
        return _run(node, positive=positive, negative=negative, control_net=self.net, image=self.edges, **settings)


class Studio:
    """Everything loaded once, through the loaders that a workflow uses."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        model.register()
        clip_vision.register()
        t2i_adapter.register()
        register_folder()
        for folder in ("checkpoints", "clip_vision", "ipadapter", "controlnet", "loras"):
            folder_paths.add_model_folder_path(folder, str(weights))
        loader = host_nodes.CheckpointLoaderSimple
        self.model, self.clip, self.vae = _run(loader, ckpt_name="demo_checkpoint.safetensors")
        (self.encoder,) = _run(host_nodes.CLIPVisionLoader, clip_name="demo_clip_vision.safetensors")
        (self.adapter,) = LoadIPAdapter.execute("demo_ip_adapter.safetensors", "auto").result

    def text(self, prompt: str) -> Any:
        return _run(host_nodes.CLIPTextEncode, clip=self.clip, text=prompt)[0]

    def structure(self, file: str, edges: Tensor) -> Structure:
        """Edges as a host IMAGE, to be followed by the ControlNet or T2I-Adapter of this file."""
        return Structure(_run(host_nodes.ControlNetLoader, control_net_name=file)[0], edges)

    def with_lora(self, strength: float = 1.0) -> Any:
        """The model in the look of the LoRA."""
        lora = {"lora_name": "demo_lora.safetensors", "strength_model": strength}
        return _run(host_nodes.LoraLoaderModelOnly, model=self.model, **lora)[0]

    def with_picture(self, reference: Tensor, weight: float, base: Any = None) -> Any:
        """The model, or another base, following a host IMAGE."""
        prompt = EncodeImagePrompt.execute(self.encoder, reference, "crop", "concat", 1.0).result[0]
        settings: dict[str, Any] = {"weight": weight, "start_percent": 0.0, "end_percent": 1.0, "weight_type": "linear"}
        return ApplyIPAdapter.execute(base or self.model, self.adapter, prompt, **settings).result[0]

    def draw(self, prompt: str, seed: int, patched: Any = None, structure: Structure | None = None) -> Tensor:
        """One picture as a host IMAGE (1, SIZE, SIZE, 3)."""
        positive, negative = self.text(prompt), self.text("")
        if structure is not None:
            positive, negative = structure.applied(positive, negative)
        (latent,) = _run(host_nodes.EmptyLatentImage, width=SIZE, height=SIZE, batch_size=1)
        (sampled,) = _run(
            host_nodes.KSampler,
            model=patched or self.model,
            seed=seed,
            steps=STEPS,
            cfg=CFG,
            sampler_name=SAMPLER,
            scheduler=SCHEDULER,
            positive=positive,
            negative=negative,
            latent_image=latent,
            denoise=1.0,
        )
        return _run(host_nodes.VAEDecode, samples=sampled, vae=self.vae)[0]


def as_image(pictures: Tensor) -> Tensor:
    """Rendered pictures (n, 3, h, w) as a host IMAGE in 8-bit steps, as if loaded from a file."""
    return (pictures.clamp(0, 1) * 255).round().div(255).movedim(1, -1)


def as_pictures(images: Tensor) -> Tensor:
    """A host IMAGE as pictures (n, 3, h, w)."""
    return images[..., :3].movedim(-1, 1).clamp(0, 1).float()


def inference() -> Any:
    """The mode in which the host executes nodes."""
    return torch.inference_mode()
