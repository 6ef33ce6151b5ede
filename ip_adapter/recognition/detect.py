"""What is this file? Tensor names and shapes in, `AdapterSpec` out."""

import re
from collections.abc import Mapping
from dataclasses import replace

from ...models.face import FaceConfig, FacePerceiverConfig
from ..errors import AdapterFileError, NotAnAdapterError, SettingError
from ..names import base_of
from ..projectors import PROJECTORS
from ..spec import AdapterSpec, Base, FaceVector, Kind, NegativeFeatures, Stage
from .checkpoint import WEIGHTS, Shapes
from .relatives import INSTANT_ID_FILE, LOOKALIKES, OTHER_FILES, Relative, first_shown
from .variant import AUTO, INSTANT_ID, PAIRS, Clues, decide

PROJECTOR_PREFIX = "image_proj."
SITE_PREFIX = "ip_adapter."
_SITE_MATRIX = re.compile(r"ip_adapter\.(0|[1-9][0-9]{0,3})\.to_[kv]_ip\.weight")
_LORA = re.compile(r"ip_adapter\.[0-9]{1,4}\.to_(?:q|k|v|out)_lora\.down\.weight")
_KOLORS_FEATURES = 1024  # ViT-L, which no adapter for SDXL reads patch by patch
_NO_CLUES = Clues()


def describe(shapes: Shapes, name: str, clues: Clues = _NO_CLUES) -> AdapterSpec:
    """The adapter that these tensors, under canonical names, are.

    Raises NotAnAdapterError for a sound file of something else, AdapterFileError for an adapter that is incomplete, and
    SettingError when the variant chosen is none that these tensors can be.
    """
    sites = sorted({int(match[1]) for match in map(_SITE_MATRIX.fullmatch, shapes) if match})
    projector = {key.removeprefix(PROJECTOR_PREFIX): shapes[key] for key in shapes if key.startswith(PROJECTOR_PREFIX)}
    lookalike = first_shown(LOOKALIKES, shapes)
    if lookalike is not None or not sites or not projector:
        raise _not_an_adapter(lookalike or first_shown(OTHER_FILES, shapes), shapes, name)
    _check_tensors(shapes, name, clues.dtypes)
    widths, context_width = _site_widths(shapes, sites, name)
    for entry in PROJECTORS:
        config = entry.recognise(projector, context_width)
        if config is not None:
            spec = AdapterSpec(
                kind=entry.kind,
                projector=config,
                stage=entry.stage,
                negative=entry.negative,
                context_width=context_width,
                site_indices=tuple(sites),
                site_widths=widths,
                base=base_of(context_width, len(sites)),
                face=entry.face,
                lora_rank=next((shapes[key][0] for key in shapes if _LORA.fullmatch(key) and shapes[key]), None),
            )
            return _told_apart(_of_kolors(_portrait(spec)), shapes, name, clues)
    raise AdapterFileError(
        f"{name} is incomplete, or its image projection is of no known kind: {', '.join(sorted(projector)[:4])}. "
        "Download the file again; if it is complete, it needs the nodes it was made for."
    )


def _check_tensors(shapes: Shapes, name: str, dtypes: Mapping[str, str]) -> None:
    for key, shape in shapes.items():
        if 0 in shape:
            raise AdapterFileError(f"{name} is damaged: {key} is empty, of shape {shape}. Download the file again.")
        if dtypes.get(key, "F32") not in WEIGHTS:
            raise AdapterFileError(
                f"{name} is damaged: {key} is stored as {dtypes[key]}, which holds no weights. Expected one of "
                f"{', '.join(sorted(WEIGHTS))}. Download the file again."
            )


def _portrait(spec: AdapterSpec) -> AdapterSpec:
    """The face network of a portrait gives more tokens than the four of FaceID."""
    is_portrait = spec.kind is Kind.FACEID and isinstance(spec.projector, FaceConfig) and spec.projector.tokens > 4
    return replace(spec, kind=Kind.FACEID_PORTRAIT) if is_portrait else spec


def _of_kolors(spec: AdapterSpec) -> AdapterSpec:
    """Kolors has the cross-attentions of SDXL; its adapters read ViT-L patches, and raw face vectors.

    Source: https://github.com/Kwai-Kolors/Kolors, ipadapter and ipadapter_FaceID.
    """
    reads_its_encoder = spec.stage is Stage.PENULTIMATE and spec.feature_width == _KOLORS_FEATURES
    # Tokens as wide as its text, which its own projection brings to the width of SDXL's.
    is_kolors = reads_its_encoder or spec.tokens_width != spec.context_width
    if spec.base is not Base.SDXL or not is_kolors:
        return spec
    if spec.face is None:
        return replace(spec, base=Base.KOLORS)
    # Its face network sees zeros, not an encoded picture, on the unconditional side.
    negative = NegativeFeatures.ZERO_EMBEDDING
    return replace(spec, base=Base.KOLORS, face=FaceVector.RAW, negative=negative)


def _told_apart(spec: AdapterSpec, shapes: Shapes, name: str, clues: Clues) -> AdapterSpec:
    """The spec with its kind decided where tensors alone cannot."""
    pair = next((pair for pair in PAIRS if spec.kind in pair), None)
    if clues.variant not in (AUTO, spec.kind) and (pair is None or clues.variant not in pair):
        raise SettingError(
            f"{name} cannot be of the variant {clues.variant}: its tensors are those of {spec.kind.value}. "
            "Choose auto, or another file."
        )
    if pair is None:
        return spec
    decision = decide(pair, name, shapes, clues)
    if decision.kind == INSTANT_ID:
        raise _not_an_adapter(INSTANT_ID_FILE, shapes, name)
    kind, config = Kind(decision.kind), spec.projector
    if isinstance(config, FacePerceiverConfig):
        config = replace(config, shortcut=kind is Kind.FACEID_PLUS_V2)
    return replace(spec, kind=kind, projector=config, decided_by=decision.decided_by)


def _site_widths(shapes: Shapes, sites: list[int], name: str) -> tuple[tuple[int, ...], int]:
    widths: list[int] = []
    contexts: set[int] = set()
    for index in sites:
        key = shapes.get(f"{SITE_PREFIX}{index}.to_k_ip.weight")
        value = shapes.get(f"{SITE_PREFIX}{index}.to_v_ip.weight")
        if value is None or key != value or len(value) != 2:
            raise AdapterFileError(
                f"{name} is incomplete: cross-attention {index} has a key matrix {key} and a value matrix {value}; "
                "they should be two matrices of one shape. Download the file again."
            )
        widths.append(value[0])
        contexts.add(value[1])
    if len(contexts) != 1:
        raise AdapterFileError(
            f"{name} is damaged: its matrices expect contexts of different widths {sorted(contexts)}."
        )
    return tuple(widths), contexts.pop()


def _not_an_adapter(relative: Relative | None, shapes: Shapes, name: str) -> NotAnAdapterError:
    if relative is not None:
        message = f"{name} is {relative.what}, not an adapter for these nodes: {relative.where}."
        return NotAnAdapterError(message, relative.kind, relative.base)
    return NotAnAdapterError(
        f"{name} is not a known IP-Adapter. Expected tensors named image_proj.* and ip_adapter.N.to_k_ip.weight, or "
        f"those of the training script or of diffusers; found {len(shapes)} tensors, the first of them "
        f"{', '.join(sorted(shapes)[:3]) or 'none'}. Choose another file."
    )
