"""An adapter that a training starts from."""

from torch import Tensor

from ...models.facts import Kind, Widths
from ..adapter import Adapter
from ..errors import SettingError, WrongEncoderError, WrongPromptError


def starting_tensors(adapter: Adapter, kind: Kind, widths: Widths, lora_rank: int | None = None) -> dict[str, Tensor]:
    """Its tensors in float32, by their published names.

    Raises WrongPromptError for another kind, SettingError for another LoRA than one of the rank wanted, if one is, and
    WrongEncoderError for another encoder.
    """
    name, spec = adapter.source.name, adapter.spec
    if spec.kind is not kind:
        raise WrongPromptError(
            f"Expected an adapter to start from of kind {kind.value}, but {name} is {spec.kind.value}. Choose another "
            "adapter, or its kind."
        )
    own_rank = spec.lora_rank or 0
    if lora_rank not in (None, own_rank):
        raise SettingError(
            f"Expected lora_rank to be {own_rank}, that of {name}, got {lora_rank}. Correct it, or leave it out."
        )
    if spec.stage is not None and spec.feature_width != widths.features:
        raise WrongEncoderError(
            f"{name} reads features of width {spec.feature_width}, and the image encoder gives {widths.features}. Load "
            "the encoder that it was trained with."
        )
    with adapter.source.open() as read:
        return {key: read(key).float().clone() for key in adapter.source.shapes}
