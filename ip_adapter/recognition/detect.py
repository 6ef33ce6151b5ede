"""What is this file? Tensor names and shapes in, `AdapterSpec` out."""

import re
from collections.abc import Mapping, Sequence

from ...models import NETWORKS
from ...models.facts import FileShapes, PublishedKind, Shapes
from ..bases.base_models import base_of
from ..errors import AdapterFileError, NotAnAdapterError, SettingError
from ..files.checkpoint import WEIGHTS
from ..spec import AdapterSpec
from .unsupported import LOOKALIKES, OTHER_FILES, UNSUPPORTED_KINDS, Relative, first_shown
from .variant import AUTO, Clues, Decision, decide

PROJECTOR_PREFIX = "image_proj."
SITE_PREFIX = "ip_adapter."
_SITE_MATRIX = re.compile(r"ip_adapter\.(0|[1-9][0-9]{0,3})\.to_[kv]_ip\.weight")
_LORA = re.compile(r"ip_adapter\.[0-9]{1,4}\.to_(?:q|k|v|out)_lora\.down\.weight")
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
    file = FileShapes(projector, context_width, base_of(context_width, len(sites)))
    for network in NETWORKS:
        config = network.recognise(file)
        if config is not None:
            decision = _decided(network.candidates(config, file), shapes, name, file, clues)
            return AdapterSpec(
                published=decision.published,
                projector=decision.published.configured(config),
                context_width=context_width,
                site_indices=tuple(sites),
                site_widths=widths,
                base=decision.published.base or file.base,
                lora_rank=next((shapes[key][0] for key in shapes if _LORA.fullmatch(key) and shapes[key]), None),
                decided_by=decision.decided_by,
            )
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


def _decided(
    candidates: Sequence[PublishedKind], shapes: Shapes, name: str, file: FileShapes, clues: Clues
) -> Decision:
    """The kind, decided by other facts where tensors alone cannot."""
    kinds = tuple(dict.fromkeys(one.kind for one in candidates))
    if clues.variant not in (AUTO, *kinds):
        raise SettingError(
            f"{name} cannot be of the variant {clues.variant}: its tensors are those of {kinds[0].value}. "
            "Choose auto, or another file."
        )
    if len(kinds) == 1:
        return Decision(candidates[0], "tensor shapes")
    decision = decide(candidates, name, file.context_width, clues)
    if not decision.published.supported:
        raise _not_an_adapter(UNSUPPORTED_KINDS[decision.published.kind], shapes, name)
    return decision


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
