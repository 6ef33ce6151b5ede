"""What a file is, from the names and shapes of the published files (and never from its name)."""

from math import prod

import pytest
from census import FILES, HOSTILE_NAMES, SD2, SD15, SD15_WIDTHS, SDXL_WIDTHS, face, file_of, linear, resampler
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError, SettingError
from ip_adapter_nodes.ip_adapter.recognition.detect import describe
from ip_adapter_nodes.ip_adapter.recognition.variant import Clues
from ip_adapter_nodes.models.face import FaceConfig
from ip_adapter_nodes.models.face_perceiver import FacePerceiverConfig
from ip_adapter_nodes.models.facts import BaseModel, FaceVector, Kind, NegativeFeatures, Stage
from ip_adapter_nodes.models.linear import LinearConfig
from ip_adapter_nodes.models.mlp import MlpConfig
from ip_adapter_nodes.models.resampler import ResamplerConfig

TWINS = ("faceid-plus", "faceid-plus-v2", "faceid-portrait-unnorm")  # kinds whose tensors another kind has too
PICTURE, EMBEDDING = NegativeFeatures.ZERO_PICTURE, NegativeFeatures.ZERO_EMBEDDING
# Kind and base: what the adapter reads of an encoder and of a face, and what its negative side sees of the encoder.
READS = {
    ("standard", "sd15"): (Stage.POOLED, None, EMBEDDING),
    ("standard", "sdxl"): (Stage.POOLED, None, EMBEDDING),
    ("plus", "sd15"): (Stage.PENULTIMATE, None, PICTURE),
    ("plus", "sdxl"): (Stage.PENULTIMATE, None, PICTURE),
    ("plus", "kolors"): (Stage.PENULTIMATE, None, PICTURE),
    ("full-face", "sd15"): (Stage.PENULTIMATE, None, PICTURE),
    ("faceid", "sd15"): (None, FaceVector.NORMED, EMBEDDING),
    ("faceid", "sdxl"): (None, FaceVector.NORMED, EMBEDDING),
    ("faceid-portrait", "sd15"): (None, FaceVector.NORMED, EMBEDDING),
    ("faceid-portrait", "sdxl"): (None, FaceVector.NORMED, EMBEDDING),
    ("faceid-portrait-unnorm", "sdxl"): (None, FaceVector.RAW, EMBEDDING),
    ("faceid-plus", "sd15"): (Stage.PENULTIMATE, FaceVector.NORMED, PICTURE),
    ("faceid-plus-v2", "sd15"): (Stage.PENULTIMATE, FaceVector.NORMED, PICTURE),
    ("faceid-plus-v2", "sdxl"): (Stage.PENULTIMATE, FaceVector.NORMED, PICTURE),
    ("faceid-plus-v2", "kolors"): (Stage.PENULTIMATE, FaceVector.RAW, EMBEDDING),
}
SIZES = {
    "ip-adapter_sd15": LinearConfig(1024, 4, 768),
    "ip-adapter_sdxl": LinearConfig(1280, 4, 2048),
    "ip-adapter-plus_sd15": ResamplerConfig(1280, 16, 768, 768, 12, 64, 4, 3072),
    "ip-adapter-plus_sdxl_vit-h": ResamplerConfig(1280, 16, 2048, 1280, 20, 64, 4, 5120),
    "ip_adapter_plus_general": ResamplerConfig(1024, 16, 2048, 2048, 12, 64, 4, 8192),
    "ip-adapter-full-face_sd15": MlpConfig(1280, 1280, 768),
    "ip-adapter-faceid_sdxl": FaceConfig(512, 1024, 4, 2048),
    "ip-adapter-faceid-portrait_sd15": FaceConfig(512, 1024, 16, 768),
    "ip-adapter-faceid-plusv2_sdxl": FacePerceiverConfig(
        FaceConfig(512, 1024, 4, 2048), ResamplerConfig(1280, 4, 2048, 2048, 32, 64, 4, 8192), shortcut=True
    ),
    "ip-adapter-faceid-plus_sd15": FacePerceiverConfig(
        FaceConfig(512, 1024, 4, 768), ResamplerConfig(1280, 4, 768, 768, 12, 64, 4, 3072), shortcut=False
    ),
    "ipa-faceid-plus": FacePerceiverConfig(
        FaceConfig(512, 1024, 6, 4096), ResamplerConfig(1024, 6, 4096, 4096, 64, 64, 4, 16384), shortcut=True
    ),
    "ip-adapter-faceid-portrait_sdxl_unnorm": ResamplerConfig(512, 16, 2048, 1280, 20, 64, 4, 5120),
}


@pytest.mark.parametrize("name", FILES)
def test_rebuilt_files_are_the_published_ones(name):
    """The census against itself: as many tensors, and as many bytes but for the header."""
    published = FILES[name]
    assert len(published.shapes) == published.tensors
    if published.size is not None:
        header = published.size - 2 * sum(map(prod, published.shapes.values()))
        assert 60 * published.tensors < header < 150 * published.tensors


@pytest.mark.parametrize("name", FILES)
def test_published_file_is_recognised(name):
    published = FILES[name]
    spec = describe(published.shapes, f"{name}.bin")
    assert (spec.kind.value, spec.base.value, spec.tokens) == (published.kind, published.base, published.tokens)
    assert (spec.stage, spec.face, spec.negative) == READS[published.kind, published.base]
    sites, widths = (70, SDXL_WIDTHS) if published.base != "sd15" else (16, SD15_WIDTHS)
    assert spec.site_indices == tuple(range(1, 2 * sites, 2))
    assert spec.site_widths == widths
    assert spec.context_width == (768 if sites == 16 else 2048)
    assert spec.lora_rank == (128 if any("_lora." in tensor for tensor in published.shapes) else None)
    assert spec.projector == SIZES.get(name, spec.projector)


@pytest.mark.parametrize("name", [name for name, published in FILES.items() if published.kind not in TWINS])
def test_name_and_order_do_not_matter_where_tensors_tell(name):
    shapes = FILES[name].shapes
    expected = describe(shapes, name)
    assert expected.decided_by == "tensor shapes"
    for hostile in HOSTILE_NAMES:
        assert describe(shapes, hostile) == expected
    assert describe(dict(reversed(shapes.items())), name) == expected


def test_kolors_and_sdxl_have_only_version_2_under_any_name():
    for name in ("ip-adapter-faceid-plusv2_sdxl", "ipa-faceid-plus"):
        for hostile in (*HOSTILE_NAMES, "ip-adapter-faceid-plus_sd15.bin"):
            assert describe(FILES[name].shapes, hostile).kind is Kind.FACEID_PLUS_V2


@pytest.mark.parametrize("name", ["ip-adapter-faceid_sd15", "ip-adapter-faceid-plusv2_sdxl"])
def test_faceid_without_its_lora_is_faceid(name):
    shapes = {tensor: shape for tensor, shape in FILES[name].shapes.items() if "_lora." not in tensor}
    spec = describe(shapes, "x.bin")
    assert (spec.kind.value, spec.lora_rank) == (FILES[name].kind, None)


@pytest.mark.parametrize(("queries", "depth", "heads", "inner"), [(4, 1, 1, 64), (32, 6, 5, 96), (77, 2, 8, 512)])
def test_every_size_of_a_custom_resampler_comes_from_its_tensors(queries, depth, heads, inner):
    shapes = file_of(resampler(inner, heads, 1024, 384, depth, queries), (320, 640), 1024)
    spec = describe(shapes, "custom")
    assert spec.projector == ResamplerConfig(384, queries, 1024, inner, heads, 64, depth, 4 * inner)
    assert (spec.tokens, spec.feature_width, spec.site_widths) == (queries, 384, (320, 640))
    assert spec.base is BaseModel.OTHER


@pytest.mark.parametrize("tokens", [1, 4, 16])
def test_token_count_of_a_custom_linear_projector(tokens):
    projector = linear(768, 1024) | {"proj.weight": (tokens * 1024, 768), "proj.bias": (tokens * 1024,)}
    assert describe(file_of(projector, *SD2), "custom").projector == LinearConfig(768, tokens, 1024)


def test_adapter_for_stable_diffusion_2():
    assert describe(file_of(linear(1024, 1024), *SD2), "x").base is BaseModel.SD2


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


@pytest.mark.parametrize("name", ["ip-adapter_sd15", "ip-adapter-plus_sd15", "ip-adapter-faceid-plusv2_sd15"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_attention_matrices(name, damage):
    shapes = dict(FILES[name].shapes)
    DAMAGES[damage](shapes)
    with pytest.raises(AdapterFileError, match=r"broken\.bin is (incomplete|damaged)"):
        describe(shapes, "broken.bin")


@pytest.mark.parametrize("dtype", ["I64", "U8", "BOOL", "torch.complex64"])
def test_tensors_that_hold_no_weights(dtype):
    shapes = FILES["ip-adapter_sd15"].shapes
    with pytest.raises(AdapterFileError, match=rf"broken\.bin is damaged: {K} is stored as {dtype}"):
        describe(shapes, "broken.bin", Clues(dtypes={K: dtype}))


def test_variant_that_the_tensors_cannot_be():
    with pytest.raises(SettingError, match="x cannot be of the variant faceid-plus: its tensors are those of standard"):
        describe(FILES["ip-adapter_sd15"].shapes, "x", Clues(variant="faceid-plus"))


def test_face_network_of_another_recogniser_is_not_known():
    shapes = file_of(face(4, 768) | {"proj.0.weight": (1024, 256)}, *SD15)
    with pytest.raises(AdapterFileError, match="of no known kind"):
        describe(shapes, "x")
