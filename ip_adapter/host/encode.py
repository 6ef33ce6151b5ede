"""The host's CLIP vision models as image encoders of the core."""

import comfy.model_management
import torch
from torch import Tensor

from ..errors import WrongEncoderError
from ..prompts.encoder import EncodeOptions, Reference, image_prompt
from ..prompts.features import Features
from ..prompts.noise import NoiseOptions, negative_noise
from ..prompts.prompt import ImagePrompt
from .feedback import Progress
from .images import as_image, as_pictures
from .model import HostClipVision


class HostEncoder:
    """The host's CLIP_VISION as the core's ImageEncoder."""

    def __init__(self, clip_vision: HostClipVision | None) -> None:
        if clip_vision is None or not hasattr(clip_vision, "encode_image"):
            raise WrongEncoderError("Expected a CLIP_VISION model. Connect a Load CLIP Vision node.")
        self._host = clip_vision

    @property
    def size(self) -> int:
        return int(getattr(self._host, "image_size", 224))

    def encode(self, squares: Tensor) -> Features:
        # The squares have the encoder's size already, so the host neither resizes nor crops them.
        output = self._host.encode_image(as_image(squares), crop=False)
        return _features(output.image_embeds, output.penultimate_hidden_states)

    def encode_zeros(self) -> Features:
        comfy.model_management.load_model_gpu(self._host.patcher)
        zeros = torch.zeros(1, 3, self.size, self.size, device=self._host.load_device)
        output = self._host.model(pixel_values=zeros, intermediate_output=-2)
        return _features(output[2], output[1])


def _features(pooled: Tensor, penultimate: Tensor) -> Features:
    if pooled.ndim != 2 or penultimate.ndim != 3:
        raise WrongEncoderError(
            f"This vision encoder gives features of shapes {tuple(pooled.shape)} and {tuple(penultimate.shape)}, not "
            "the pooled embedding and the patches of a CLIP model. Load a CLIP vision model (ViT-H for most adapters)."
        )
    return Features(pooled.float().cpu(), penultimate.float().cpu())


def reference(image: Tensor, mask: Tensor | None = None) -> Reference:
    """Of a host IMAGE, and a MASK of the part of it that counts. Raises PictureError for an unusable picture."""
    return Reference(as_pictures(image), mask)


def encode_prompt(
    clip_vision: HostClipVision | None, positive: Reference, negative: Reference | None, options: EncodeOptions
) -> tuple[ImagePrompt, Tensor]:
    """The image prompt of references, and the squares the encoder saw as a host IMAGE.

    Raises what `image_prompt` does, and WrongEncoderError for a model that is no CLIP vision.
    """
    prompt, seen = image_prompt(HostEncoder(clip_vision), positive, negative, options, Progress)
    return prompt, as_image(seen).cpu()


def negative_image(image: Tensor | None, options: NoiseOptions) -> Tensor:
    """Noise as a host IMAGE, made of another or of the encoder's neutral colour. Raises PictureError for no picture."""
    return as_image(negative_noise(None if image is None else as_pictures(image).cpu(), options))
