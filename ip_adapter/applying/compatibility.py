"""Do model, adapter and prompt fit: what is connected, and which published files would fit each other."""

from ...models import KINDS
from ...models.facts import BaseModel
from ..adapter import Adapter
from ..bases.backbone import Site
from ..bases.base_models import base_name, base_of
from ..bases.fit import check_base
from ..bases.image_encoders import catalogue_names
from ..errors import WrongBaseError, WrongEncoderError, WrongPromptError
from ..faces.prompt import FacePrompt
from ..library.catalog import CatalogEntry, entries
from ..prompts.features import Features
from ..prompts.projector_inputs import Prompt
from ..prompts.prompt import ImagePrompt
from ..spec import AdapterSpec

_SUPPORTED = {one.kind.value for one in KINDS if one.supported}
_MOST = 4  # files named in a message


def check_fit(sites: tuple[Site, ...], family: BaseModel | None, adapter: Adapter, prompt: Prompt) -> None:
    """Raises WrongBaseError, WrongEncoderError or WrongPromptError unless a model with these cross-attentions, adapter
    and prompt fit each other, naming the three and published files that would fit."""
    file = adapter.source.name
    try:
        check_base(adapter.spec, sites, file, family)
        prompt.check(adapter.spec, file)
    except (WrongBaseError, WrongEncoderError, WrongPromptError) as error:
        raise type(error)(f"{error} {_described(adapter.spec, file, sites, family, prompt)}") from error


def _described(spec: AdapterSpec, file: str, sites: tuple[Site, ...], family: BaseModel | None, prompt: Prompt) -> str:
    model = base_name(sites[0].context_width, len(sites), family) if sites else "no UNet with cross-attention"
    fitting = _fitting(base_of(sites[0].context_width, len(sites), family) if sites else None, prompt)
    advice = f"Published for this model and prompt: {', '.join(fitting)}." if fitting else ""
    return (
        f"Connected are: model {model}; adapter {file}, {spec.kind.value} for {spec.base.value}; "
        f"prompt {_words(prompt)}. {advice}"
    ).rstrip()


def _words(prompt: Prompt) -> str:
    if isinstance(prompt, ImagePrompt):
        return f"of {prompt.positive.encoder}"
    return f"of faces by {prompt.faces.recogniser.name}" if isinstance(prompt, FacePrompt) else "of an unknown kind"


def _fitting(base: BaseModel | None, prompt: Prompt) -> list[str]:
    names = [entry.file for entry in entries() if _fits(entry, base, prompt)]
    return names[:_MOST]


def _fits(entry: CatalogEntry, base: BaseModel | None, prompt: Prompt) -> bool:
    if base is None or entry.base != base.value or entry.kind not in _SUPPORTED or entry.prefer is not None:
        return False
    if isinstance(prompt, FacePrompt):
        return entry.face is not None and (prompt.look is None or entry.encoder in _encoders(prompt.look.features))
    return isinstance(prompt, ImagePrompt) and entry.face is None and entry.encoder in _encoders(prompt.positive)


def _encoders(features: Features) -> tuple[str, ...]:
    return catalogue_names(features.pooled.shape[-1], features.penultimate.shape[-1])
