"""A small CLIP vision encoder for the host's standard loader and encode nodes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import comfy.clip_vision

from .recognised import recognise

CONFIG: dict[str, Any] = {
    "model_type": "clip_vision_model",
    "image_size": 64,
    "patch_size": 8,
    "num_channels": 3,
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "projection_dim": 128,
    "hidden_act": "gelu",
}
_POSITIONS = "vision_model.embeddings.position_embedding.weight"


def _is_demo(state_dict: dict[str, Any]) -> bool:
    patches = (CONFIG["image_size"] // CONFIG["patch_size"]) ** 2
    positions = state_dict.get(_POSITIONS)
    return positions is not None and tuple(positions.shape) == (patches + 1, CONFIG["hidden_size"])


def _load_demo(state_dict: dict[str, Any]) -> Any:
    # Hosts before 0.38 take their configuration only from a file.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps(CONFIG), encoding="utf-8")
        model = comfy.clip_vision.ClipVisionModel(str(file))
    missing, unexpected = model.load_sd(state_dict)
    if missing or unexpected:
        raise ValueError(f"demo image encoder: missing {missing}, unexpected {unexpected}")
    return model


def register() -> None:
    """Lets the host's CLIP vision loader recognise the demo encoder, which its table of published sizes lacks."""
    recognise(comfy.clip_vision, "load_clipvision_from_sd", _is_demo, _load_demo)
