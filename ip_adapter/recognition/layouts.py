"""One form of names for every layout in which adapters are found.

The canonical names are those of the published safetensors: `image_proj.*`, `ip_adapter.N.to_k_ip.weight` and so on.
Also read are what the reference's training script leaves behind (`image_proj_model.*`, `adapter_modules.*`, `unet.*`),
Kolors' FaceID pickle, files with two sets of names, and the processors and projections of diffusers.
"""

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.facts import Shapes
from ..bases.unet import UNET
from ..files.checkpoint import ReadTensor, TensorSource

_HEADS = ("image_proj", "image_proj_model", "ip_adapter", "adapter_modules", "unet", "encoder_hid_proj")
_PREFERRED = re.compile(r"(?:image_proj|ip_adapter)\..+")
_TRAINED = (("image_proj_model.", "image_proj."), ("adapter_modules.", "ip_adapter."))
_PROCESSOR = re.compile(
    r"(?:unet\.)?(down_blocks|up_blocks|mid_block)\.(?:(\d+)\.)?attentions\.(\d+)\.transformer_blocks\.(\d+)"
    r"\.attn([12])\.processor\.(to_[kv]_ip|to_(?:q|k|v|out)_lora\.(?:down|up))(?:\.0)?\.weight"
)
_BLOCK_ORDER = ("down_blocks", "up_blocks", "mid_block")  # that of diffusers' attn_processors
_PROJECTION = re.compile(r"(?:unet\.)?encoder_hid_proj\.(?:image_projection_layers\.0\.)?(.+)")
# diffusers' names inside a projection -> the published ones; a resampler's, then those of the other networks.
Rename = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
_RESAMPLER_NAMES: tuple[Rename, ...] = (
    (re.compile(r"layers\.(\d+)\.ln([01])\.(.+)"), lambda m: f"layers.{m[1]}.0.norm{int(m[2]) + 1}.{m[3]}"),
    (re.compile(r"layers\.(\d+)\.attn\.to_([qkv])\.weight"), lambda m: f"layers.{m[1]}.0.to_{m[2]}.weight"),
    (re.compile(r"layers\.(\d+)\.attn\.to_out\.0\.weight"), lambda m: f"layers.{m[1]}.0.to_out.weight"),
    (re.compile(r"layers\.(\d+)\.ff\.0\.(.+)"), lambda m: f"layers.{m[1]}.1.0.{m[2]}"),
    (re.compile(r"layers\.(\d+)\.ff\.1\.net\.0\.proj\.weight"), lambda m: f"layers.{m[1]}.1.1.weight"),
    (re.compile(r"layers\.(\d+)\.ff\.1\.net\.2\.weight"), lambda m: f"layers.{m[1]}.1.3.weight"),
    (re.compile(r"((?:latents|proj_in|proj_out|norm_out)\b.*)"), lambda m: m[1]),
)
_MLP_NAMES: tuple[Rename, ...] = (
    (re.compile(r"image_embeds\.(.+)"), lambda m: f"proj.{m[1]}"),
    (re.compile(r"(?:ff|proj)\.net\.0\.proj\.(.+)"), lambda m: f"proj.0.{m[1]}"),
    (re.compile(r"(?:ff|proj)\.net\.2\.(.+)"), lambda m: f"proj.2.{m[1]}"),
    (re.compile(r"norm\.(.+)"), lambda m: f"norm.{m[1]}"),
)

Stored = tuple[str, ...]  # the stored tensors whose rows, one below the other, are a canonical tensor


@dataclass(frozen=True, eq=False)
class Renamed:
    """A source under canonical names; tensors that belong to no adapter are not among them."""

    source: TensorSource
    names: Mapping[str, Stored]

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.source.metadata

    @property
    def shapes(self) -> Shapes:
        return {name: _stacked(self.source.shapes, stored) for name, stored in self.names.items()}

    @property
    def dtypes(self) -> Mapping[str, str]:
        return {name: self.source.dtypes[stored[0]] for name, stored in self.names.items()}

    @contextmanager
    def open(self) -> Generator[ReadTensor, None, None]:
        with self.source.open() as read:

            def canonical_tensor(name: str) -> Tensor:
                parts = [read(stored) for stored in self.names[name]]
                return parts[0] if len(parts) == 1 else torch.cat(parts)

            yield canonical_tensor


def canonical(source: TensorSource) -> TensorSource:
    """The source with published names; itself when it has them already, or none that belong to an adapter."""
    prefix = _prefix(source.shapes)
    stored = {name.removeprefix(prefix): name for name in source.shapes}
    names = _names(stored, source.shapes)
    is_canonical = len(names) == len(source.shapes) and all(parts == (name,) for name, parts in names.items())
    return Renamed(source, names) if names and not is_canonical else source


def _prefix(shapes: Shapes) -> str:
    """What stands before every name, as a wrapper of the trained model leaves it, if adapter names follow it."""
    first = next(iter(shapes), "").partition(".")[0]
    prefix = f"{first}."
    if first in _HEADS or not all(name.startswith(prefix) for name in shapes):
        return ""
    inner = {name.removeprefix(prefix).partition(".")[0] for name in shapes}
    return prefix if inner & {*_HEADS, *_BLOCK_ORDER} else ""


def _names(stored: Mapping[str, str], shapes: Shapes) -> dict[str, Stored]:
    """Canonical name -> stored names. Where a file holds a tensor twice, the published name wins."""
    published = {name: (stored[name],) for name in stored if _PREFERRED.fullmatch(name)}
    trained = {
        name.replace(old, new, 1): (stored[name],) for old, new in _TRAINED for name in stored if name.startswith(old)
    }
    return {**_projection(stored, shapes), **_processors(stored), **trained, **published}


def _processors(stored: Mapping[str, str]) -> dict[str, Stored]:
    """Matrices under diffusers' processor paths, numbered as `attn_processors` numbers them."""
    found = [(match, stored[name]) for name in stored if (match := _PROCESSOR.fullmatch(name))]
    blocks = sorted({_block(match) for match, _ in found})
    return {
        f"ip_adapter.{UNET.numbered(blocks.index(_block(match)), int(match[5]))}.{match[6]}.weight": (name,)
        for match, name in found
    }


def _block(match: re.Match[str]) -> tuple[int, int, int, int]:
    return _BLOCK_ORDER.index(match[1]), int(match[2] or 0), int(match[3]), int(match[4])


def _projection(stored: Mapping[str, str], shapes: Shapes) -> dict[str, Stored]:
    inner = {match[1]: stored[name] for name in stored if (match := _PROJECTION.fullmatch(name))}
    has_both = "proj.net.0.proj.weight" in inner  # FaceID-Plus: identity network and perceiver
    result: dict[str, Stored] = {f"image_proj.{name}": (there,) for name, there in _renamed(inner, _MLP_NAMES)}
    prefix = "image_proj.perceiver_resampler." if has_both else "image_proj."
    result |= {f"{prefix}{name}": (there,) for name, there in _renamed(inner, _RESAMPLER_NAMES)}
    for name in [name for name in result if name.endswith(".to_k.weight")]:
        pair = (name, name.replace(".to_k.", ".to_v."))
        if pair[1] in result:
            result[name.replace(".to_k.", ".to_kv.")] = (*result.pop(pair[0]), *result.pop(pair[1]))
    return _patch_norm(result, shapes)


def _renamed(inner: Mapping[str, str], table: tuple[Rename, ...]) -> Iterator[tuple[str, str]]:
    for name, there in inner.items():
        matches = ((pattern.fullmatch(name), to) for pattern, to in table)
        yield from [(to(match), there) for match, to in matches if match][:1]


def _patch_norm(result: dict[str, Stored], shapes: Shapes) -> dict[str, Stored]:
    """The full-face network's norm is a part of its sequence; the FaceID network's, narrower, stands beside it."""
    norm, second = result.get("image_proj.norm.weight"), result.get("image_proj.proj.2.weight")
    if norm and second and shapes[norm[0]] == shapes[second[0]][:1]:
        for part in ("weight", "bias"):
            if f"image_proj.norm.{part}" in result:
                result[f"image_proj.proj.3.{part}"] = result.pop(f"image_proj.norm.{part}")
    return result


def _stacked(shapes: Shapes, stored: Stored) -> tuple[int, ...]:
    parts = [shapes[name] for name in stored]
    first = parts[0]
    return (sum(part[0] for part in parts), *first[1:]) if len(parts) > 1 and all(parts) else first
