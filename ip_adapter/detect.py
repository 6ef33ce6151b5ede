"""What is this file? Tensor names and shapes in, `AdapterSpec` out."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .checkpoint import Shapes
from .errors import AdapterFileError, NotAnAdapterError
from .projectors import FACE_WIDTH, PROJECTORS
from .spec import AdapterSpec

PROJECTOR_PREFIX = "image_proj."
SITE_PREFIX = "ip_adapter."
_SITE_MATRIX = re.compile(r"ip_adapter\.(0|[1-9][0-9]{0,3})\.to_[kv]_ip\.weight")


@dataclass(frozen=True)
class Relative:
    """A file that people try to load as an adapter, how it shows, and where it belongs."""

    what: str
    where: str
    shows: Callable[[Shapes], bool]


def _any_starts(*prefixes: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(prefixes) for name in shapes)


def _any_contains(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _has_width(name: str, width: int) -> Callable[[Shapes], bool]:
    return lambda shapes: shapes.get(name, ())[-1:] == (width,)


def _any_of(*signs: Callable[[Shapes], bool]) -> Callable[[Shapes], bool]:
    return lambda shapes: any(sign(shapes) for sign in signs)


_FACE = _any_of(
    _any_starts("image_proj.perceiver_resampler."),
    _has_width("image_proj.proj.0.weight", FACE_WIDTH),
    _has_width("image_proj.proj_in.weight", FACE_WIDTH),
)
RELATIVES = (
    Relative("an IP-Adapter for Flux", "it needs nodes for Flux", _any_starts("ip_adapter_proj_model.")),
    Relative("a FaceID adapter", "its node, ApplyFaceID, is not part of this version", _FACE),
    Relative(
        "a PuLID adapter",
        "it needs the PuLID nodes",
        _any_starts("id_adapter", "pulid_", "image_proj.mapping_0", "image_proj.id_embedding_mapping."),
    ),
    Relative(
        "a LoRA",
        "put it into models/loras and use LoraLoader",
        _any_contains("lora_down.", "lora.down.", "lora_A."),
    ),
    Relative(
        "a ControlNet",
        "put it into models/controlnet and use ControlNetLoader",
        _any_starts("zero_convs.", "control_model.", "input_hint_block.", "controlnet_"),
    ),
    Relative(
        "a CLIP vision encoder",
        "put it into models/clip_vision and use CLIPVisionLoader",
        _any_starts("vision_model.", "visual."),
    ),
    Relative(
        "a whole checkpoint",
        "put it into models/checkpoints and use CheckpointLoaderSimple",
        _any_starts("model.diffusion_model."),
    ),
)


def describe(shapes: Shapes, name: str) -> AdapterSpec:
    """The adapter that these tensors are.

    Raises NotAnAdapterError for a sound file of something else, AdapterFileError for an adapter that is incomplete.
    """
    sites = sorted({int(match[1]) for match in map(_SITE_MATRIX.fullmatch, shapes) if match})
    if not sites or not any(key.startswith(PROJECTOR_PREFIX) for key in shapes):
        raise NotAnAdapterError(_not_an_adapter(shapes, name))
    empty = next((key for key, shape in shapes.items() if 0 in shape), None)
    if empty is not None:
        raise AdapterFileError(
            f"{name} is damaged: {empty} is empty, of shape {shapes[empty]}. Download the file again."
        )
    inner = {
        key.removeprefix(PROJECTOR_PREFIX): shape for key, shape in shapes.items() if key.startswith(PROJECTOR_PREFIX)
    }
    widths, context_width = _site_widths(shapes, sites, name)
    for projector in PROJECTORS:
        config = projector.recognise(inner, context_width)
        if config is not None:
            return AdapterSpec(
                kind=projector.kind,
                projector=config,
                stage=projector.stage,
                negative=projector.negative,
                context_width=context_width,
                site_indices=tuple(sites),
                site_widths=widths,
            )
    raise NotAnAdapterError(_not_an_adapter(shapes, name))


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


def _not_an_adapter(shapes: Shapes, name: str) -> str:
    for relative in RELATIVES:
        if relative.shows(shapes):
            return f"{name} is {relative.what}, not an adapter for this node: {relative.where}."
    return (
        f"{name} is not a known IP-Adapter. Expected tensors named image_proj.* and ip_adapter.N.to_k_ip.weight of the "
        f"standard, light, vit-G or Plus kind; found {len(shapes)} tensors, the first of them "
        f"{', '.join(sorted(shapes)[:3]) or 'none'}. Choose another file."
    )
