"""CLIP vision models of transformers as encoders, against that library's own preprocessing."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import WrongEncoderError
from ip_adapter_nodes.ip_adapter.prompts.encoder import EncodeOptions, Reference, image_prompt
from ip_adapter_nodes.ip_adapter.prompts.transformers_encoder import TransformersEncoder

SIZE = 32


@pytest.fixture(scope="module")
def model():
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=SIZE,
        patch_size=8,
        projection_dim=48,
    )
    torch.manual_seed(0)
    return CLIPVisionModelWithProjection(config).eval()


def expected(model, picture):
    """What the library makes of an 8-bit picture (height, width, 3), with its own processor."""
    from PIL import Image
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    pixels = processor(Image.fromarray(picture.numpy()), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return model(pixel_values=pixels, output_hidden_states=True)


def test_features_of_a_picture_of_the_encoders_size_are_the_librarys(model, generator):
    picture = torch.randint(256, (SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)
    prompt, seen = image_prompt(
        TransformersEncoder(model), Reference(picture[None].movedim(-1, 1) / 255), None, EncodeOptions()
    )
    output = expected(model, picture)
    assert torch.equal((seen[0] * 255).round().byte(), picture.movedim(-1, 0))
    assert torch.allclose(prompt.positive.pooled, output.image_embeds, atol=1e-5)
    assert torch.allclose(prompt.positive.penultimate, output.hidden_states[-2], atol=1e-5)


def test_zeros_are_zeros_after_normalisation(model):
    zeros = TransformersEncoder(model).encode_zeros()
    with torch.no_grad():
        output = model(pixel_values=torch.zeros(1, 3, SIZE, SIZE), output_hidden_states=True)
    assert torch.equal(zeros.pooled, output.image_embeds)
    assert torch.equal(zeros.penultimate, output.hidden_states[-2])


def test_a_half_precision_model_gives_float32(model, generator):
    squares = torch.rand(2, 3, SIZE, SIZE, generator=generator)
    whole = TransformersEncoder(model).encode(squares)
    half = TransformersEncoder(type(model)(model.config).to(torch.bfloat16).eval())
    half._model.load_state_dict(model.state_dict())
    given = half.encode(squares)
    assert given.pooled.dtype == given.penultimate.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(given.pooled, whole.pooled).min() > 0.999


def test_a_folder_is_loaded_without_the_network(model, tmp_path, generator):
    model.save_pretrained(tmp_path)
    squares = torch.rand(1, 3, SIZE, SIZE, generator=generator)
    loaded = TransformersEncoder.load(tmp_path)
    assert loaded.size == SIZE
    assert torch.equal(loaded.encode(squares).pooled, TransformersEncoder(model).encode(squares).pooled)


def test_what_is_no_encoder(model, tmp_path):
    with pytest.raises(WrongEncoderError, match="CLIPVisionModelWithProjection of transformers, got Linear"):
        TransformersEncoder(torch.nn.Linear(1, 1))
    with pytest.raises(WrongEncoderError, match=r"config.json and model.safetensors in .*, got \[\]"):
        TransformersEncoder.load(tmp_path)
    model.vision_model.save_pretrained(tmp_path)
    with pytest.raises(WrongEncoderError, match=r"it lacks visual_projection.weight"):
        TransformersEncoder.load(tmp_path)
