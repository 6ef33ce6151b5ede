"""An adapter that a training goes on from."""

from torch import Tensor

from ..adapter import Adapter
from ..errors import WrongEncoderError, WrongPromptError
from ..spec import Kind
from .kinds import Widths


def starting_tensors(adapter: Adapter, kind: Kind, widths: Widths) -> dict[str, Tensor]:
    """Its tensors in float32, by their published names.

    Raises WrongPromptError for another kind or a FaceID file with a LoRA, WrongEncoderError for another encoder.
    """
    name, spec = adapter.source.name, adapter.spec
    if spec.kind is not kind:
        raise WrongPromptError(
            f"Expected an adapter to start from of kind {kind.value}, but {name} is {spec.kind.value}. Choose another "
            "adapter, or its kind."
        )
    if spec.lora_rank is not None:
        raise WrongPromptError(
            f"{name} holds a LoRA, which training here would leave out, and without which its matrices mean something "
            "else. Start from an adapter that was trained without one."
        )
    if spec.stage is not None and spec.feature_width != widths.features:
        raise WrongEncoderError(
            f"{name} reads features of width {spec.feature_width}, and the image encoder gives {widths.features}. Load "
            "the encoder that it was trained with."
        )
    with adapter.source.open() as read:
        return {key: read(key).float().clone() for key in adapter.source.shapes}
