"""The projector of every kind: its file is recognised as that kind, and has the sizes of the published one."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.recognition.variant import KIND_METADATA
from ip_adapter_nodes.ip_adapter.training.kinds import lora_rank_for, projector_for
from ip_adapter_nodes.models import TRAINABLE, build_projector
from ip_adapter_nodes.models.facts import Kind, Widths

SITES = 16
# Parameters of the published projectors, from the sizes of the files less those of their matrices.
PUBLISHED = {
    (Kind.STANDARD, 768, 1024): 1024 * 3072 + 3072 + 2 * 768,
    (Kind.FULL_FACE, 768, 1280): 1280 * 1280 + 1280 + 1280 * 768 + 3 * 768,
    (Kind.FACEID, 768, 0): 512 * 1024 + 1024 + 1024 * 3072 + 3072 + 2 * 768,
}


def shapes_of(config) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return {f"image_proj.{name}": tensor for name, tensor in build_projector(config).state_dict().items()}


@pytest.mark.parametrize("kind", TRAINABLE)
@pytest.mark.parametrize("context", [128, 768, 2048])
def test_the_file_is_recognised_with_the_same_projector(kind, context):
    config = projector_for(kind, Widths(context, 1280))
    matrices = {
        f"ip_adapter.{2 * n + 1}.to_{x}_ip.weight": torch.empty(64, context) for n in range(SITES) for x in "kv"
    }
    spec = Adapter.of(TensorDict("trained", shapes_of(config) | matrices, {KIND_METADATA: kind.value})).spec
    assert spec.kind is kind
    assert [tuple(x.shape) for x in build_projector(spec.projector).state_dict().values()] == [
        tuple(x.shape) for x in build_projector(config).state_dict().values()
    ]


@pytest.mark.parametrize(("kind", "context", "features"), PUBLISHED)
def test_sizes_are_the_published_ones(kind, context, features):
    tensors = shapes_of(projector_for(kind, Widths(context, features)))
    assert sum(tensor.numel() for tensor in tensors.values()) == PUBLISHED[kind, context, features]


@pytest.mark.parametrize(("context", "inner"), [(768, 768), (2048, 1280)])
def test_resamplers_are_as_wide_as_the_published_ones(context, inner):
    config = projector_for(Kind.PLUS, Widths(context, 1280))
    assert (config.inner_width, config.heads, config.tokens, config.depth) == (inner, inner // 64, 16, 4)


def test_the_number_of_tokens_can_be_chosen():
    assert {projector_for(kind, Widths(128, 64), 8).tokens for kind in TRAINABLE if kind is not Kind.FULL_FACE} == {8}


def test_the_loras_are_those_of_the_published_adapters_or_chosen():
    with_lora = {Kind.FACEID, Kind.FACEID_PLUS, Kind.FACEID_PLUS_V2}
    assert {kind: lora_rank_for(kind, None) for kind in TRAINABLE} == {
        kind: 128 * (kind in with_lora) for kind in TRAINABLE
    }
    assert [lora_rank_for(Kind.FACEID, rank) for rank in (0, 4)] == [0, 4]
