"""Apply FaceID in the host: its LoRA, several people, and what it refuses."""

import comfy.lora
import pytest
import torch
from factories import adapter_tensors, make_prompt, relative_error
from host_support.clip import tiny_clip_vision
from host_support.faces import face_tensors, make_faces
from host_support.sampling import sample
from host_support.small_models import random_model
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.errors import (
    FaceError,
    SettingError,
    WrongBaseError,
    WrongEncoderError,
    WrongPromptError,
)
from ip_adapter_nodes.ip_adapter.faces.face import Face, Faces, Recogniser
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.nodes.apply import ApplyFaceID

LORA_WEIGHT = 0.6
# The numbers of the host's blocks by hand: published number of a self-attention, and the host's name of its block.
BLOCKS = {
    0: "input_blocks.1.1.transformer_blocks.0",
    8: "input_blocks.7.1.transformer_blocks.0",
    12: "output_blocks.3.1.transformer_blocks.0",
    30: "middle_block.1.transformer_blocks.0",
}


def adapter_of(kind, sites, *, with_lora=True, name=None):
    return Adapter.of(TensorDict(name or f"{kind}.bin", face_tensors(kind, sites, with_lora=with_lora)))


@pytest.fixture(scope="module")
def faceid(sd15_sites):
    return adapter_of("faceid", sd15_sites)


def apply(model, adapter, faces=None, clip_vision=None, weight=1.0, lora_weight=0.0, combine=Combine.CONCAT, mask=None):
    settings, choice = host.ApplyOptions(weight=weight, mask=mask), host.FaceOptions(1.0, lora_weight, combine)
    return host.apply_face(model, adapter, faces or make_faces(1), clip_vision, settings, choice)


def patched_weights(model):
    """What the host will make of every weight that has patches."""
    state = model.model.state_dict()
    return {key: comfy.lora.calculate_weight(model.patches[key], state[key].clone(), key) for key in model.patches}


def test_lora_of_the_file_is_added_to_every_projection_of_every_attention(sd15, faceid):
    patched = patched_weights(apply(sd15, faceid, lora_weight=LORA_WEIGHT))
    assert len(patched) == 16 * 2 * 4
    state = sd15.model.state_dict()
    with faceid.source.open() as read:
        for number, block in BLOCKS.items():
            for other in (0, 1):
                for part, name in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("out", "to_out.0")):
                    key = f"diffusion_model.{block}.attn{other + 1}.{name}.weight"
                    up, down = (read(f"ip_adapter.{number + other}.to_{part}_lora.{x}.weight") for x in ("up", "down"))
                    assert relative_error(patched[key], state[key] + LORA_WEIGHT * up @ down) < 1e-6, key


def test_lora_weight_zero_and_weight_zero_leave_the_models_weights(sd15, faceid):
    assert not apply(sd15, faceid, lora_weight=0.0).patches
    without = apply(sd15, faceid, weight=0.0, lora_weight=1.0)
    assert not without.patches
    assert torch.equal(sample(without), sample(sd15))


def test_two_people_share_one_lora(sd15, faceid):
    halves = torch.zeros(2, 1, 8, 8)
    halves[0, :, :, :4], halves[1, :, :, 4:] = 1.0, 1.0
    first = apply(sd15, faceid, make_faces(1, 1), lora_weight=LORA_WEIGHT, mask=halves[0])
    both = apply(first, faceid, make_faces(1, 2), lora_weight=LORA_WEIGHT, mask=halves[1])
    alone = patched_weights(first)
    for key, weight in patched_weights(both).items():
        assert torch.equal(weight, alone[key])
    assert not sd15.patches
    assert relative_error(sample(both), sample(first)) > 1e-3


def test_average_makes_one_face_of_the_same_person(sd15, faceid):
    """Two photographs with one and the same vector are that vector, and concatenated they attend alike."""
    face = make_faces(1).members[0]
    twice = Faces((face, Face(1, 3 * face.embedding)), Recogniser())
    once = sample(apply(sd15, faceid, Faces((face,), Recogniser())))
    for combine in (how for how in Combine if how is not Combine.SUBTRACT):
        assert relative_error(sample(apply(sd15, faceid, twice, combine=combine)), once) < 1e-5


def test_the_look_of_the_face_needs_an_encoder_of_its_width(sd15, sd15_sites):
    plus = adapter_of("faceid-plus-v2", sd15_sites)
    with pytest.raises(WrongEncoderError, match=r"also looks at the face. Connect CLIP ViT-H/14"):
        apply(sd15, plus)
    with pytest.raises(WrongEncoderError, match="penultimate width 1280"):
        apply(sd15, plus, clip_vision=tiny_clip_vision())
    fitting = apply(sd15, plus, clip_vision=tiny_clip_vision(hidden_width=1280))
    assert relative_error(sample(fitting), sample(sd15)) > 1e-3
    embedding_alone = Faces((Face(0, torch.ones(512)),), Recogniser())
    with pytest.raises(FaceError, match="embeddings without a picture"):
        apply(sd15, plus, embedding_alone, tiny_clip_vision(hidden_width=1280))


def test_prompts_and_adapters_of_the_other_node(sd15, sd15_sites, faceid):
    with pytest.raises(WrongPromptError, match="Use Apply FaceID"):
        host.apply(sd15, faceid, make_prompt(), host.ApplyOptions())
    pictures = Adapter.of(TensorDict("a.bin", adapter_tensors(sd15_sites)))
    with pytest.raises(WrongPromptError, match="Use Apply IP-Adapter"):
        apply(sd15, pictures)


def test_faces_of_another_recogniser_are_refused_by_name(sd15, faceid):
    with pytest.raises(FaceError, match=r"recogniser buffalo_l, and these faces are from antelopev2"):
        apply(sd15, faceid, make_faces(1, recogniser="antelopev2"))
    for name in ("buffalo_l", "my own", "unknown"):
        apply(sd15, faceid, make_faces(1, recogniser=name))


@pytest.mark.parametrize("name", ["structure_weight", "lora_weight"])
def test_weights_out_of_range(name):
    for value in (float("nan"), 11.0):
        with pytest.raises(SettingError, match=f"Expected {name} from -10.0 to 10.0, got {value}"):
            host.FaceOptions(**{name: value})


def test_file_without_its_lora_says_so(sd15, sd15_sites, caplog):
    apply(sd15, adapter_of("faceid", sd15_sites, with_lora=False), lora_weight=1.0)
    assert "faceid.bin holds no LoRA" in caplog.text


def test_the_node_runs_with_its_required_inputs_alone(sd15, faceid):
    given = {"weight": 1.0, "structure_weight": 1.0, "lora_weight": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    (model,) = ApplyFaceID.execute(sd15, faceid, make_faces(1), weight_type="linear", **given).args
    assert torch.equal(sample(model), sample(apply(sd15, faceid, lora_weight=1.0)))


def test_kolors_needs_its_own_projection_of_tokens(sd15):
    kolors = random_model("kolors")
    sites = find_sites(kolors.model.diffusion_model)
    tensors = face_tensors("faceid", sites, with_lora=False) | {
        name: torch.randn(shape) * 0.02
        for name, shape in {
            "image_proj.proj.2.weight": (6 * 4096, 1024),
            "image_proj.proj.2.bias": (6 * 4096,),
            "image_proj.norm.weight": (4096,),
            "image_proj.norm.bias": (4096,),
        }.items()
    }
    adapter = Adapter.of(TensorDict("kolors.bin", tensors))
    assert (adapter.spec.tokens, adapter.spec.tokens_width, adapter.spec.context_width) == (6, 4096, 2048)
    assert relative_error(sample(apply(kolors, adapter)), sample(kolors)) > 1e-3
    with pytest.raises(WrongBaseError, match=r"kolors\.bin was trained for Kolors"):
        apply(random_model("sdxl"), adapter)
