"""What a file is, from the names and shapes of the published files (and never from its name)."""

from math import prod

import pytest
from ip_adapter_nodes.ip_adapter.detect import describe
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError
from ip_adapter_nodes.ip_adapter.spec import AdapterSpec, Kind, NegativeFeatures, Stage
from ip_adapter_nodes.models.linear import LinearConfig
from ip_adapter_nodes.models.resampler import ResamplerConfig

SD15_WIDTHS = (320,) * 2 + (640,) * 2 + (1280,) * 5 + (640,) * 3 + (320,) * 3 + (1280,)
SDXL_WIDTHS = (640,) * 4 + (1280,) * 50 + (640,) * 6 + (1280,) * 10


def linear(feature_width, context):
    return {"proj.weight": (4 * context, feature_width), "proj.bias": (4 * context,), **norm("norm", context)}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def resampler(inner, heads, context, feature_width=1280, depth=4, queries=16):
    shapes = {"latents": (1, queries, inner), **norm("norm_out", context)}
    shapes |= {"proj_in.weight": (inner, feature_width), "proj_in.bias": (inner,)}
    shapes |= {"proj_out.weight": (context, inner), "proj_out.bias": (context,)}
    for layer in range(depth):
        attention, feedforward = f"layers.{layer}.0", f"layers.{layer}.1"
        shapes |= (
            norm(f"{attention}.norm1", inner) | norm(f"{attention}.norm2", inner) | norm(f"{feedforward}.0", inner)
        )
        shapes[f"{attention}.to_q.weight"] = (64 * heads, inner)
        shapes[f"{attention}.to_kv.weight"] = (128 * heads, inner)
        shapes[f"{attention}.to_out.weight"] = (inner, 64 * heads)
        shapes[f"{feedforward}.1.weight"] = (4 * inner, inner)
        shapes[f"{feedforward}.3.weight"] = (inner, 4 * inner)
    return shapes


def file_of(projector, widths, context):
    shapes = {f"image_proj.{name}": shape for name, shape in projector.items()}
    for site, width in enumerate(widths):
        shapes |= {f"ip_adapter.{2 * site + 1}.to_{x}_ip.weight": (width, context) for x in "kv"}
    return shapes


# Published name: shapes, number of tensors and bytes of the safetensors file (None where only a pickle is published).
SD15, SDXL = (SD15_WIDTHS, 768), (SDXL_WIDTHS, 2048)
PUBLISHED = {
    "ip-adapter_sd15": (file_of(linear(1024, 768), *SD15), 36, 44_642_768),
    "ip-adapter_sd15_light": (file_of(linear(1024, 768), *SD15), 36, 44_642_768),
    "ip-adapter_sd15_light_v11": (file_of(linear(1024, 768), *SD15), 36, None),
    "ip-adapter_sd15_vit-G": (file_of(linear(1280, 768), *SD15), 36, 46_215_640),
    "ip-adapter-plus_sd15": (file_of(resampler(768, 12, 768), *SD15), 83, 98_183_288),
    "ip-adapter-plus-face_sd15": (file_of(resampler(768, 12, 768), *SD15), 83, 98_183_288),
    "ip_plus_composition_sd15": (file_of(resampler(768, 12, 768), *SD15), 83, None),
    "ip-adapter_sdxl": (file_of(linear(1280, 2048), *SDXL), 144, 702_585_376),
    "ip-adapter_sdxl_vit-h": (file_of(linear(1024, 2048), *SDXL), 144, 698_391_064),
    "ip-adapter-plus_sdxl_vit-h": (file_of(resampler(1280, 20, 2048), *SDXL), 191, 847_517_512),
    "ip-adapter-plus-face_sdxl_vit-h": (file_of(resampler(1280, 20, 2048), *SDXL), 191, 847_517_512),
    "ip_plus_composition_sdxl": (file_of(resampler(1280, 20, 2048), *SDXL), 191, None),
}
HOSTILE = (
    "",
    "ip-adapter-faceid-plusv2_sdxl_lora.bin",
    "flux controlnet unnorm.safetensors",
    "../../\n\0.pth",
    "п" * 300,
)


def expected(name):
    sdxl = "sdxl" in name
    indices, widths = (range(1, 140, 2), SDXL_WIDTHS) if sdxl else (range(1, 32, 2), SD15_WIDTHS)
    context = 2048 if sdxl else 768
    if "plus" in name:
        inner, heads = (1280, 20) if sdxl else (768, 12)
        network = ResamplerConfig(1280, 16, context, inner, heads, 64, 4, 4 * inner)
        how = (Kind.PLUS, network, Stage.PENULTIMATE, NegativeFeatures.ZERO_PICTURE)
    else:
        wide = "vit-G" in name or name == "ip-adapter_sdxl"
        network = LinearConfig(1280 if wide else 1024, 4, context)
        how = (Kind.STANDARD, network, Stage.POOLED, NegativeFeatures.ZERO_EMBEDDING)
    return AdapterSpec(*how, context_width=context, site_indices=tuple(indices), site_widths=widths)


@pytest.mark.parametrize("name", PUBLISHED)
def test_rebuilt_files_are_the_published_ones(name):
    """The tables above against the census: as many tensors, and as many bytes but for the header."""
    shapes, tensors, size = PUBLISHED[name]
    assert len(shapes) == tensors
    if size is not None:
        header = size - 2 * sum(map(prod, shapes.values()))
        assert 60 * tensors < header < 150 * tensors


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_file_is_recognised_under_any_name(name):
    shapes = PUBLISHED[name][0]
    for hostile in (name, *HOSTILE):
        assert describe(shapes, hostile) == expected(name)
    assert describe(dict(reversed(shapes.items())), name) == expected(name)


@pytest.mark.parametrize(("queries", "depth", "heads", "inner"), [(4, 1, 1, 64), (32, 6, 5, 96), (77, 2, 8, 512)])
def test_every_size_of_a_custom_resampler_comes_from_its_tensors(queries, depth, heads, inner):
    shapes = file_of(resampler(inner, heads, 1024, 384, depth, queries), (320, 640), 1024)
    spec = describe(shapes, "custom")
    assert spec.projector == ResamplerConfig(384, queries, 1024, inner, heads, 64, depth, 4 * inner)
    assert (spec.tokens, spec.feature_width, spec.site_widths) == (queries, 384, (320, 640))


@pytest.mark.parametrize("tokens", [1, 4, 16])
def test_token_count_of_a_custom_linear_projector(tokens):
    shapes = file_of(
        linear(768, 1024) | {"proj.weight": (tokens * 1024, 768), "proj.bias": (tokens * 1024,)}, (320,), 1024
    )
    assert describe(shapes, "custom").projector == LinearConfig(768, tokens, 1024)


K, V = "ip_adapter.5.to_k_ip.weight", "ip_adapter.5.to_v_ip.weight"
DAMAGES = {
    "no key matrix": lambda shapes: shapes.pop(K),
    "no value matrix": lambda shapes: shapes.pop(V),
    "transposed key matrix": lambda shapes: shapes.update({K: shapes[K][::-1]}),
    "transposed key and value": lambda shapes: shapes.update({K: shapes[K][::-1], V: shapes[V][::-1]}),
    "another context": lambda shapes: shapes.update({K: (640, 1024), V: (640, 1024)}),
    "flattened": lambda shapes: shapes.update({K: (640 * 768,), V: (640 * 768,)}),
    "no dimension": lambda shapes: shapes.update({K: (), V: ()}),
    "nothing in it": lambda shapes: shapes.update(
        {name: (shape[0], 0) for name, shape in shapes.items() if "_ip." in name}
    ),
}


@pytest.mark.parametrize("name", ["ip-adapter_sd15", "ip-adapter-plus_sd15"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_attention_matrices(name, damage):
    shapes = dict(PUBLISHED[name][0])
    DAMAGES[damage](shapes)
    with pytest.raises(AdapterFileError, match=r"broken\.bin is (incomplete|damaged)"):
        describe(shapes, "broken.bin")
