"""An image encoder without a host: the CLIP vision models of the library `transformers`."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import WrongEncoderError
from .features import Features
from .preprocess import NEUTRAL

# https://github.com/openai/CLIP/blob/a1d0717/clip/clip.py; the mean of the same normalisation is NEUTRAL.
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class TransformersEncoder:
    """A `CLIPVisionModelWithProjection` as the core's ImageEncoder; it runs where the model is, in the model's dtype.

    Raises WrongEncoderError for any other model.
    """

    def __init__(self, encoder: Any) -> None:
        if not hasattr(encoder, "visual_projection"):
            raise WrongEncoderError(
                f"Expected a CLIPVisionModelWithProjection of transformers, got {type(encoder).__name__}. Load that."
            )
        self._model = encoder

    @classmethod
    def load(cls, folder: Path) -> "TransformersEncoder":
        """The encoder in a folder of config.json and model.safetensors. Raises WrongEncoderError for another folder."""
        from transformers import CLIPVisionModelWithProjection

        found = [name for name in ("config.json", "model.safetensors") if Path(folder, name).is_file()]
        if len(found) < 2:
            raise WrongEncoderError(
                f"Expected config.json and model.safetensors in {folder}, got {found}. Put them there."
            )
        loaded: Any = CLIPVisionModelWithProjection.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        model, report = loaded
        if report["missing_keys"]:
            raise WrongEncoderError(
                f"{folder} is no CLIP vision model with projection: it lacks {sorted(report['missing_keys'])[0]} and "
                f"{len(report['missing_keys']) - 1} more tensors. Choose the folder of an image encoder."
            )
        return cls(model.eval())

    @property
    def size(self) -> int:
        return int(self._model.config.image_size)

    def encode(self, squares: Tensor) -> Features:
        mean, deviation = (torch.tensor(values)[:, None, None].to(squares) for values in (NEUTRAL, _DEVIATION))
        return self._features((squares - mean) / deviation)

    def encode_zeros(self) -> Features:
        return self._features(torch.zeros(1, 3, self.size, self.size))

    @torch.inference_mode()
    def _features(self, pixels: Tensor) -> Features:
        weight = self._model.visual_projection.weight
        output = self._model(pixel_values=pixels.to(weight), output_hidden_states=True)
        return Features(output.image_embeds.float().cpu(), output.hidden_states[-2].float().cpu())
