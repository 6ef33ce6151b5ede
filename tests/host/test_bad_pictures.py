"""Pictures, masks and encoders of every shape: a sensible result, or a named error before the encoder runs."""

import pytest
import torch
from host_support.clip import SIZE, pictures, tiny_clip_vision
from ip_adapter_nodes.ip_adapter.errors import PictureError, SettingError, WrongEncoderError
from ip_adapter_nodes.ip_adapter.prompts.preprocess import NEUTRAL, Fit
from ip_adapter_nodes.nodes.encode import EncodeImagePrompt

CHOICE = {"fit": "crop", "combine": "concat", "weight": 1.0}
STEP = 1 / 255


@pytest.fixture(scope="module")
def clip_vision():
    return tiny_clip_vision()


@pytest.fixture
def encode(clip_vision):
    """The node: an image prompt and what the encoder saw."""
    return lambda image, **others: EncodeImagePrompt.execute(clip_vision, image, **(CHOICE | others)).result


@pytest.fixture
def refused(clip_vision, monkeypatch, encode):
    """The message of an encode that must fail before the encoder is asked."""

    def never(*arguments, **options):
        pytest.fail("the encoder ran")

    def call(error_class, image, **others) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(clip_vision, "encode_image", never)
            with pytest.raises(error_class) as error:
                encode(image, **others)
        return str(error.value)

    return call


@pytest.mark.parametrize("fit", [fit.value for fit in Fit])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (1, 2000), (SIZE, SIZE), (200, 10)], ids=str)
def test_pictures_of_any_size_give_finite_features_of_sound_squares(encode, size, fit):
    prompt, seen = encode(torch.full((2, *size, 3), 0.5), fit=fit)
    assert seen.shape[1:] == (SIZE, SIZE, 3)
    assert len(seen) == len(prompt.positive) >= 2
    assert prompt.positive.finite
    # A picture of one colour shows that colour, and around it at most the neutral one.
    differences = [(seen - colour).abs().amax(dim=-1) for colour in (torch.full((3,), 0.5), torch.tensor(NEUTRAL))]
    nearest = differences[0] if fit in ("crop", "stretch") else torch.minimum(*differences)
    assert nearest.max() <= STEP
    assert (differences[0] <= STEP).flatten(1).any(dim=1).all()


def test_grey_pictures_are_three_equal_channels(encode):
    grey = pictures(1, 40, 32, channels=1)
    given, seen = encode(grey)
    expected, seen_expected = encode(grey.expand(-1, -1, -1, 3))
    assert torch.equal(seen, seen_expected)
    assert torch.equal(given.positive.pooled, expected.positive.pooled)


@pytest.mark.parametrize("channels", [1, 3])
def test_where_alpha_is_clear_the_picture_is_neutral(encode, channels):
    image = torch.cat([pictures(1, SIZE, SIZE, channels), torch.ones(1, SIZE, SIZE, 1)], dim=-1)
    image[:, :, SIZE // 2 :, -1] = 0.0
    _, seen = encode(image)
    assert torch.allclose(seen[:, :, : SIZE // 2], image[:, :, : SIZE // 2, :-1].expand(-1, -1, -1, 3), atol=STEP)
    assert torch.allclose(seen[:, :, SIZE // 2 :], torch.tensor(NEUTRAL), atol=STEP)


def test_values_out_of_range_are_clipped(encode):
    image = 3 * pictures(1, SIZE, SIZE) - 1
    assert torch.equal(encode(image)[1], encode(image.clamp(0, 1))[1])


UNUSABLE = {
    "no picture": torch.zeros(0, 8, 8, 3),
    "no height": torch.zeros(1, 0, 8, 3),
    "no channels": torch.zeros(1, 8, 8, 0),
    "no batch": torch.zeros(8, 8, 3),
    "five channels": torch.zeros(1, 8, 8, 5),
    "NaN": torch.full((1, 8, 8, 3), torch.nan),
    "infinite": torch.full((1, 8, 8, 3), torch.inf),
    "one NaN": torch.zeros(2, 8, 8, 3).index_fill(0, torch.tensor([1]), torch.nan),
}


@pytest.mark.parametrize("image", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_pictures(refused, image):
    message = refused(PictureError, image)
    assert "NaN" in message or str(tuple(image.shape)) in message or "5 channels" in message
    assert refused(PictureError, pictures(1, 8, 8), negative_image=image) == message


@pytest.mark.parametrize("weight", [10.5, -11.0, float("nan"), float("inf")])
def test_weights_out_of_range(refused, weight):
    message = refused(SettingError, pictures(1, 8, 8), weight=weight)
    assert "-10" in message
    assert str(weight) in message


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 40, 3), (1, 1, 8, 8), (1, 1, 1)], ids=str)
def test_a_reference_mask_of_any_size_covers_the_picture(encode, shape):
    image = pictures(2, 20, 20)
    assert torch.equal(encode(image, mask=torch.ones(shape))[1], encode(image)[1])
    _, hidden = encode(image, mask=torch.zeros(shape))
    assert torch.allclose(hidden, torch.tensor(NEUTRAL), atol=STEP)


BAD_MASKS = {
    "three for two pictures": torch.ones(3, 8, 8),
    "none": torch.ones(0, 8, 8),
    "empty": torch.ones(1, 0, 8),
    "NaN": torch.full((1, 8, 8), torch.nan),
}


@pytest.mark.parametrize("mask", BAD_MASKS.values(), ids=BAD_MASKS)
def test_unusable_reference_masks(refused, mask):
    message = refused(PictureError, pictures(2, 8, 8), mask=mask)
    assert "mask" in message
    assert ("2 pictures" in message) == (len(mask) == 3)


def test_something_that_is_no_clip_vision():
    with pytest.raises(WrongEncoderError, match="CLIP_VISION"):
        EncodeImagePrompt.execute(None, pictures(1, 8, 8), **CHOICE)


def test_an_encoder_without_a_pooled_embedding(clip_vision, monkeypatch):
    plain = clip_vision.encode_image

    def tokens_only(*arguments, **options):
        output = plain(*arguments, **options)
        output["image_embeds"] = output.last_hidden_state
        return output

    monkeypatch.setattr(clip_vision, "encode_image", tokens_only)
    with pytest.raises(WrongEncoderError, match="ViT-H") as error:
        EncodeImagePrompt.execute(clip_vision, pictures(1, 8, 8), **CHOICE)
    assert "(1, 17, 64)" in str(error.value)


def test_an_encoder_that_gives_nan(clip_vision, monkeypatch):
    plain = clip_vision.encode_image

    def overflowing(*arguments, **options):
        output = plain(*arguments, **options)
        output["image_embeds"] = output.image_embeds * torch.nan
        return output

    monkeypatch.setattr(clip_vision, "encode_image", overflowing)
    with pytest.raises(PictureError, match="precision"):
        EncodeImagePrompt.execute(clip_vision, pictures(1, 8, 8), **CHOICE)
