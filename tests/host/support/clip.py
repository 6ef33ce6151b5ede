"""The host's own CLIP vision class with a tiny random network."""

import json
import tempfile
from pathlib import Path
from typing import Any

import comfy.clip_vision
import torch

SIZE = 32
_CONFIG = {
    "model_type": "clip_vision_model",
    "image_size": SIZE,
    "patch_size": 8,
    "num_channels": 3,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "projection_dim": 48,
    "hidden_act": "gelu",
}


def tiny_clip_vision(pooled_width: int = 48, hidden_width: int = 64, size: int = SIZE) -> Any:
    """A CLIP_VISION of `size` by `size` pixels, 8 to a patch, whose features have the given widths."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        sizes = {"projection_dim": pooled_width, "hidden_size": hidden_width, "image_size": size}
        file.write_text(json.dumps(_CONFIG | sizes), encoding="utf-8")
        model = comfy.clip_vision.ClipVisionModel(str(file))
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, tensor in model.get_sd().items():
        noise = torch.randn(tensor.shape, generator=generator)
        weights[name] = noise * tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 1 + 0.1 * noise
    missing, unexpected = model.load_sd({name: weight.to(tensor.dtype) for name, weight in weights.items()})
    assert not missing
    assert not unexpected
    return model


def pictures(count: int, height: int, width: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    """A host IMAGE of noise."""
    return torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(seed))
