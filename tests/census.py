"""Every published adapter for a Stable Diffusion UNet, rebuilt from the names and shapes of its tensors.

Source of shapes, counts and sizes: headers and pickles as published (h94/IP-Adapter, h94/IP-Adapter-FaceID,
ostris/ip-composition-adapter, Kwai-Kolors), and the classes of tencent-ailab/IP-Adapter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Shapes = dict[str, tuple[int, ...]]

SD15_WIDTHS = (320,) * 2 + (640,) * 2 + (1280,) * 5 + (640,) * 3 + (320,) * 3 + (1280,)
SDXL_WIDTHS = (640,) * 4 + (1280,) * 50 + (640,) * 6 + (1280,) * 10
SD15, SD2, SDXL = (SD15_WIDTHS, 768), (SD15_WIDTHS, 1024), (SDXL_WIDTHS, 2048)
LORA_RANK = 128


def dense(name: str, rows: int, columns: int) -> Shapes:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def linear(feature_width: int, context: int) -> Shapes:
    return dense("proj", 4 * context, feature_width) | norm("norm", context)


def full_face(feature_width: int, context: int) -> Shapes:
    first = dense("proj.0", feature_width, feature_width)
    return first | dense("proj.2", context, feature_width) | norm("proj.3", context)


def face(tokens: int, context: int) -> Shapes:
    return dense("proj.0", 1024, 512) | dense("proj.2", tokens * context, 1024) | norm("norm", context)


def perceiver(inner: int, heads: int, context: int, feature_width: int = 1280, depth: int = 4) -> Shapes:
    shapes = dense("proj_in", inner, feature_width) | dense("proj_out", context, inner) | norm("norm_out", context)
    for layer in range(depth):
        attention, feedforward = f"layers.{layer}.0", f"layers.{layer}.1"
        shapes |= norm(f"{attention}.norm1", inner) | norm(f"{attention}.norm2", inner)
        shapes |= norm(f"{feedforward}.0", inner)
        shapes[f"{attention}.to_q.weight"] = (64 * heads, inner)
        shapes[f"{attention}.to_kv.weight"] = (128 * heads, inner)
        shapes[f"{attention}.to_out.weight"] = (inner, 64 * heads)
        shapes[f"{feedforward}.1.weight"] = (4 * inner, inner)
        shapes[f"{feedforward}.3.weight"] = (inner, 4 * inner)
    return shapes


def resampler(
    inner: int, heads: int, context: int, feature_width: int = 1280, depth: int = 4, queries: int = 16
) -> Shapes:
    return {"latents": (1, queries, inner)} | perceiver(inner, heads, context, feature_width, depth)


def face_plus(context: int, feature_width: int = 1280, tokens: int = 4) -> Shapes:
    inner = perceiver(context, context // 64, context, feature_width)
    return face(tokens, context) | {f"perceiver_resampler.{name}": shape for name, shape in inner.items()}


def lora(widths: tuple[int, ...], context: int) -> Shapes:
    """The LoRA inside FaceID files: self- and cross-attention of every block."""
    shapes: Shapes = {}
    for number, width in enumerate(width for width in widths for _ in range(2)):
        for part in ("q", "k", "v", "out"):
            into = context if number % 2 and part in "kv" else width
            shapes[f"ip_adapter.{number}.to_{part}_lora.down.weight"] = (LORA_RANK, into)
            shapes[f"ip_adapter.{number}.to_{part}_lora.up.weight"] = (width, LORA_RANK)
    return shapes


def file_of(projector: Shapes, widths: tuple[int, ...], context: int) -> Shapes:
    shapes = {f"image_proj.{name}": shape for name, shape in projector.items()}
    for site, width in enumerate(widths):
        shapes |= {f"ip_adapter.{2 * site + 1}.to_{x}_ip.weight": (width, context) for x in "kv"}
    return shapes


@dataclass(frozen=True)
class Published:
    """One file: its tensors, what a listing should say, and what is known of it from outside (None: not published)."""

    shapes: Shapes
    kind: str
    base: str
    tokens: int
    tensors: int
    size: int | None = None  # bytes of the float16 safetensors


def _of(
    projector: Callable[[int], Shapes], kind: str, base: str, tokens: int, tensors: int, size: int | None = None
) -> Published:
    layout = {"sd15": SD15, "sdxl": SDXL, "kolors": SDXL}[base]
    has_lora = kind in ("faceid", "faceid-plus", "faceid-plus-v2") and base != "kolors"
    shapes = file_of(projector(layout[1]), *layout) | (lora(*layout) if has_lora else {})
    return Published(shapes, kind, base, tokens, tensors, size)


def _plus(context: int) -> Shapes:
    return resampler(768, 12, 768) if context == 768 else resampler(1280, 20, 2048)


FILES = {
    "ip-adapter_sd15": _of(lambda c: linear(1024, c), "standard", "sd15", 4, 36, 44_642_768),
    "ip-adapter_sd15_light": _of(lambda c: linear(1024, c), "standard", "sd15", 4, 36, 44_642_768),
    "ip-adapter_sd15_light_v11": _of(lambda c: linear(1024, c), "standard", "sd15", 4, 36),
    "ip-adapter_sd15_vit-G": _of(lambda c: linear(1280, c), "standard", "sd15", 4, 36, 46_215_640),
    "ip-adapter-plus_sd15": _of(_plus, "plus", "sd15", 16, 83, 98_183_288),
    "ip-adapter-plus-face_sd15": _of(_plus, "plus", "sd15", 16, 83, 98_183_288),
    "ip_plus_composition_sd15": _of(_plus, "plus", "sd15", 16, 83),
    "ip-adapter-full-face_sd15": _of(lambda c: full_face(1280, c), "full-face", "sd15", 257, 38, 43_592_352),
    "ip-adapter_sdxl": _of(lambda c: linear(1280, c), "standard", "sdxl", 4, 144, 702_585_376),
    "ip-adapter_sdxl_vit-h": _of(lambda c: linear(1024, c), "standard", "sdxl", 4, 144, 698_391_064),
    "ip-adapter-plus_sdxl_vit-h": _of(_plus, "plus", "sdxl", 16, 191, 847_517_512),
    "ip-adapter-plus-face_sdxl_vit-h": _of(_plus, "plus", "sdxl", 16, 191, 847_517_512),
    "ip_plus_composition_sdxl": _of(_plus, "plus", "sdxl", 16, 191),
    "ip-adapter-faceid_sd15": _of(lambda c: face(4, c), "faceid", "sd15", 4, 294),
    "ip-adapter-faceid-plus_sd15": _of(face_plus, "faceid-plus", "sd15", 4, 344),
    "ip-adapter-faceid-plusv2_sd15": _of(face_plus, "faceid-plus-v2", "sd15", 4, 344),
    "ip-adapter-faceid-portrait_sd15": _of(lambda c: face(16, c), "faceid-portrait", "sd15", 16, 38),
    "ip-adapter-faceid-portrait-v11_sd15": _of(lambda c: face(16, c), "faceid-portrait", "sd15", 16, 38),
    "ip-adapter-faceid_sdxl": _of(lambda c: face(4, c), "faceid", "sdxl", 4, 1266),
    "ip-adapter-faceid-plusv2_sdxl": _of(face_plus, "faceid-plus-v2", "sdxl", 4, 1316),
    "ip-adapter-faceid-portrait_sdxl": _of(lambda c: face(16, c), "faceid-portrait", "sdxl", 16, 146),
    "ip-adapter-faceid-portrait_sdxl_unnorm": _of(
        lambda c: resampler(1280, 20, c, 512), "faceid-portrait-unnorm", "sdxl", 16, 191
    ),
    "ip_adapter_plus_general": _of(lambda c: resampler(2048, 12, c, 1024), "plus", "kolors", 16, 191),
    "ipa-faceid-plus": _of(lambda c: face_plus(4096, 1024, 6), "faceid-plus-v2", "kolors", 6, 196),
}
# Names that say something else, or nothing; for files whose tensors tell everything the name must not matter.
HOSTILE_NAMES = (
    "",
    "model.bin",
    "ip-adapter-faceid-plusv2_sdxl_lora.bin",
    "flux controlnet unnorm.safetensors",
    "../../\n\0.pth",
    "п" * 300,
)
