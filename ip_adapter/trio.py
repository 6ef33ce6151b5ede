"""Model, adapter and prompt together: what is connected, and which published files would fit each other."""

from torch import nn

from .adapter import Adapter
from .catalog import CatalogEntry, entries
from .errors import WrongBaseError, WrongEncoderError, WrongPromptError
from .faces.prompt import FacePrompt
from .names import base_name, base_of
from .patching.sites import Site, check_base, family_of, find_sites
from .prompts.projector_inputs import Prompt
from .prompts.prompt import Features, ImagePrompt
from .spec import AdapterSpec, Base, Kind

_KINDS = {kind.value for kind in Kind}
# (pooled width, patch width) of an encoder -> its entries of the catalogue.
_ENCODERS = {
    (1024, 1280): ("clip_vision_h",),
    (1280, 1664): ("clip_vision_g",),
    (768, 1024): ("clip_vision_l", "clip_vision_l_336"),
}
_MOST = 4  # files named in a message


def checked_sites(unet: nn.Module, adapter: Adapter, prompt: Prompt) -> tuple[Site, ...]:
    """The cross-attentions of a model that fits an adapter and a prompt.

    Raises WrongBaseError, WrongEncoderError or WrongPromptError, naming the three and published files that would fit.
    """
    sites, family, file = find_sites(unet), family_of(unet), adapter.source.name
    try:
        check_base(adapter.spec, sites, file, family)
        prompt.check(adapter.spec, file)
    except (WrongBaseError, WrongEncoderError, WrongPromptError) as error:
        raise type(error)(f"{error} {_described(adapter.spec, file, sites, family, prompt)}") from error
    return sites


def _described(spec: AdapterSpec, file: str, sites: tuple[Site, ...], family: Base | None, prompt: Prompt) -> str:
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


def _fitting(base: Base | None, prompt: Prompt) -> list[str]:
    names = [entry.file for entry in entries() if _fits(entry, base, prompt)]
    return names[:_MOST]


def _fits(entry: CatalogEntry, base: Base | None, prompt: Prompt) -> bool:
    if base is None or entry.base != base.value or entry.kind not in _KINDS or entry.prefer is not None:
        return False
    if isinstance(prompt, FacePrompt):
        return entry.face is not None and (prompt.look is None or entry.encoder in _encoders(prompt.look.features))
    return isinstance(prompt, ImagePrompt) and entry.face is None and entry.encoder in _encoders(prompt.positive)


def _encoders(features: Features) -> tuple[str, ...]:
    return _ENCODERS.get((features.pooled.shape[-1], features.penultimate.shape[-1]), ())
