"""Kinds with equal tensors: which fact decides, in which order."""

import pytest
from census import FILES
from ip_adapter_nodes.ip_adapter.errors import NotAnAdapterError
from ip_adapter_nodes.ip_adapter.recognition.detect import describe
from ip_adapter_nodes.ip_adapter.recognition.variant import KIND_METADATA, VARIANTS, Clues

PLUS = FILES["ip-adapter-faceid-plus_sd15"].shapes
UNNORM = FILES["ip-adapter-faceid-portrait_sdxl_unnorm"].shapes
V1, V2 = "faceid-plus", "faceid-plus-v2"


def test_the_choices_of_the_widget():
    assert VARIANTS == ("auto", V1, V2, "faceid-portrait-unnorm")


@pytest.mark.parametrize(
    ("name", "clues", "kind", "reason"),
    [
        ("x.bin", Clues(), V2, "default, since nothing tells it from faceid-plus"),
        ("ip-adapter-faceid-plus_sd15.bin", Clues(), V1, "file name"),
        ("My FaceID PlusV2.bin", Clues(), V2, "file name"),
        ("plus-v2.bin", Clues(metadata={KIND_METADATA: V1}), V1, "metadata"),
        ("plus-v2.bin", Clues(published=lambda: V1, metadata={KIND_METADATA: V2}), V1, "sha256 of the published file"),
        ("plus-v2.bin", Clues(variant=V1, published=lambda: V2), V1, "the variant chosen on the node"),
        ("x.bin", Clues(metadata={KIND_METADATA: "nonsense"}), V2, "default, since nothing tells it from faceid-plus"),
    ],
)
def test_which_fact_decides(name, clues, kind, reason):
    spec = describe(PLUS, name, clues)
    assert (spec.kind.value, spec.decided_by, spec.projector.shortcut) == (kind, reason, kind == V2)


def test_the_hash_is_not_asked_where_tensors_tell():
    def hash_of_the_file():
        raise AssertionError("the whole file would be read")

    describe(FILES["ip-adapter_sd15"].shapes, "x", Clues(published=hash_of_the_file))


@pytest.mark.parametrize(
    ("name", "clues"),
    [
        ("ip-adapter_instant_id_sdxl.bin", Clues()),
        ("ip-adapter.bin", Clues(dtypes=dict.fromkeys(UNNORM, "F32"))),
        ("unnorm.bin", Clues(published=lambda: "instantid")),
    ],
)
def test_instantid_has_the_tensors_of_the_unnorm_portrait(name, clues):
    with pytest.raises(NotAnAdapterError, match=r"is an InstantID adapter, .* choose that as variant") as error:
        describe(UNNORM, name, clues)
    assert (error.value.kind, error.value.base) == ("instantid", "sdxl")
    chosen = Clues("faceid-portrait-unnorm", clues.published, clues.metadata, clues.dtypes)
    assert describe(UNNORM, name, chosen).kind.value == "faceid-portrait-unnorm"


def test_precision_as_published_tells_the_unnorm_portrait():
    dtypes = {tensor: "F16" if tensor.startswith("ip_adapter") else "F32" for tensor in UNNORM}
    assert describe(UNNORM, "ip-adapter.bin", Clues(dtypes=dtypes)).kind.value == "faceid-portrait-unnorm"
