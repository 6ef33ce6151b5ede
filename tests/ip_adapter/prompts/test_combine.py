"""Several pictures as one: every way to combine against its formula, and prompts of prompts."""

import math
from dataclasses import replace

import pytest
import torch
from factories import make_features
from ip_adapter_nodes.ip_adapter.errors import SettingError, WrongEncoderError
from ip_adapter_nodes.ip_adapter.prompts.combine import SIDE_BY_SIDE, Combine, combined
from ip_adapter_nodes.ip_adapter.prompts.features import NOTHING, Features
from ip_adapter_nodes.ip_adapter.prompts.negative import Negative
from ip_adapter_nodes.ip_adapter.prompts.preprocess import Preparation
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt, Origin, combine_prompts

TO_ONE = [how for how in Combine if how not in SIDE_BY_SIDE]
SHAPES = pytest.mark.parametrize("shape", [(3, 6), (3, 5, 4)], ids=["pooled", "patches"])
WEIGHTS = pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.0), (0.5, 0.25, -0.1), (-3.0, 1.0, 1.0)])


def drawn(shape, generator):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("how", [Combine.CONCAT, Combine.ONE_PER_LATENT])
def test_side_by_side_everything_is_as_it_was(how, generator):
    features = drawn((3, 5, 4), generator)
    given, weights = combined(features, (1.0, 0.5, -2.0), how)
    assert torch.equal(given, features)
    assert weights == [1.0, 0.5, -2.0]


# What strength times features of the result is, of the pictures' weights times features.
SUMS = {
    Combine.AVERAGE: lambda first, *others: sum(others, first) / (1 + len(others)),
    Combine.ADD: lambda first, *others: sum(others, first),
    Combine.SUBTRACT: lambda first, *others: first - sum(others) / len(others),
}


@SHAPES
@WEIGHTS
@pytest.mark.parametrize("how", SUMS)
def test_weighted_sums(how, weights, shape, generator):
    features = drawn(shape, generator)
    given, (strength,) = combined(features, weights, how)
    expected = SUMS[how](*(weight * row for weight, row in zip(weights, features, strict=True)))
    assert given.shape == (1, *shape[1:])
    assert torch.allclose(strength * given[0], expected)


@WEIGHTS
def test_strengths(weights, generator):
    features = drawn((3, 6), generator)
    largest = max(weights, key=abs)
    expected = dict.fromkeys(Combine, sum(weights) / 3) | {Combine.ADD: largest, Combine.SUBTRACT: largest}
    assert {how: combined(features, weights, how)[1][0] for how in TO_ONE} == pytest.approx(
        {how: expected[how] for how in TO_ONE}
    )


@SHAPES
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.0)])
def test_norm_average_is_the_mean_direction_at_the_mean_length(weights, shape, generator):
    """Vector by vector: of each picture, or of each place in the pictures."""
    features = drawn(shape, generator) * torch.tensor([1.0, 30.0, 0.01]).reshape(3, *[1] * (len(shape) - 1))
    given = combined(features, weights, Combine.NORM_AVERAGE)[0].reshape(-1, shape[-1])
    for vector, vectors in zip(given, features.reshape(3, -1, shape[-1]).transpose(0, 1), strict=True):
        lengths = [math.sqrt(sum(x * x for x in each.tolist())) for each in vectors]
        mean = sum(w * each / length for w, each, length in zip(weights, vectors, lengths, strict=True))
        assert torch.allclose(vector, mean / mean.norm() * sum(lengths) / 3)


@SHAPES
def test_norm_average_of_equal_pictures_is_that_picture(shape, generator):
    """The incumbent's gives plus or minus 0.58 for every number instead."""
    features = drawn(shape, generator)[:1].expand(shape)
    assert torch.allclose(combined(features, (1.0,) * 3, Combine.NORM_AVERAGE)[0], features[:1])


@SHAPES
def test_max_takes_the_largest_of_each_number(shape, generator):
    features = drawn(shape, generator)
    given, _ = combined(features, (5.0, 1.0, -3.0), Combine.MAX)
    for index, rows in enumerate(zip(*(row.flatten().tolist() for row in features), strict=True)):
        assert given.flatten()[index].item() == max(rows)


@pytest.mark.parametrize("how", Combine)
def test_one_picture_is_that_picture(how, generator):
    features = drawn((1, 6), generator)
    given, weights = combined(features, (0.3,), how)
    assert torch.equal(given, features)
    assert weights == [0.3]


@pytest.mark.parametrize("how", TO_ONE)
def test_silent_pictures_stay_silent(how, generator):
    features = drawn((2, 6), generator)
    given, weights = combined(features, (0.0, 0.0), how)
    assert weights == [0.0]
    assert torch.equal(given, combined(features, (1.0, 1.0), how)[0])


@pytest.mark.parametrize("how", [Combine.AVERAGE, Combine.NORM_AVERAGE])
def test_means_with_weights_that_cancel_have_no_meaning(how, generator):
    with pytest.raises(SettingError, match="add up to 0"):
        combined(drawn((2, 6), generator), (1.0, -1.0), how)


def test_opposite_directions_cancel_without_nan(generator):
    features = drawn((1, 6), generator)
    given, _ = combined(torch.cat([features, -features]), (1.0, 1.0), Combine.NORM_AVERAGE)
    assert given.abs().max() < 1e-3


def prompt_of(*rows, negative=None, zero=0, **others):
    """A prompt whose features are known: picture r has r in its pooled and 10 r in its patch features."""

    def features(values):
        column = torch.tensor(values, dtype=torch.float32)[:, None]
        return Features(column.expand(-1, 6).clone(), 10 * column[:, None].expand(-1, 5, 4).clone())

    against = None if negative is None else features(negative)
    return ImagePrompt(
        features(rows), against, make_features(1, zero, 6, 10), **{"weights": (1.0,) * len(rows), **others}
    )


def rows_of(features):
    assert torch.equal(features.penultimate[:, 0, 0], 10 * features.pooled[:, 0])
    return features.pooled[:, 0].tolist()


@pytest.mark.parametrize("how", SIDE_BY_SIDE)
def test_prompts_side_by_side_keep_all_pictures(how):
    prompts = prompt_of(1, 2, weights=(0.5, 1.0)), prompt_of(3), prompt_of(4, 8, combine=Combine.AVERAGE)
    given = combine_prompts(prompts, (1.0, 0.25, 2.0), how)
    assert rows_of(given.positive) == [1, 2, 3, 6]
    assert given.weights == (0.5, 1.0, 0.25, 2.0)
    assert given.combine is how


def test_prompts_are_combined_picture_by_picture():
    given = combine_prompts([prompt_of(5, 7, 9), prompt_of(1), prompt_of(1, 2, 3)], (1.0,) * 3, Combine.SUBTRACT)
    assert rows_of(given.positive) == [5 - 1, 7 - 1.5, 9 - 2]
    assert given.weights == (1.0, 1.0, 1.0)
    added = combine_prompts([prompt_of(5, 7), prompt_of(2, weights=(0.5,))], (1.0, 0.5), Combine.ADD)
    assert rows_of(added.positive) == [5.5, 7.5]
    assert added.weights == (1.0, 1.0)


def test_one_prompt_alone_is_itself():
    prompt = prompt_of(1, 2, negative=[3], weights=(0.5, 1.0))
    given = combine_prompts([prompt], (0.5,), Combine.AVERAGE)
    assert rows_of(given.positive) == [1, 2]
    assert given.weights == (0.25, 0.5)


@pytest.mark.parametrize("how", TO_ONE)
def test_prompts_of_different_numbers_of_pictures(how):
    with pytest.raises(SettingError, match=rf"{how.value}, got \[2, 1, 3\] pictures.*or use concat"):
        combine_prompts([prompt_of(1, 2), prompt_of(3), prompt_of(1, 2, 3)], (1.0,) * 3, how)


def test_negative_pictures_are_joined_and_averaged_where_the_positive_are_combined():
    prompts = prompt_of(1, negative=[1, 3]), prompt_of(2), prompt_of(3, negative=[8])
    assert rows_of(combine_prompts(prompts, (1.0,) * 3, Combine.CONCAT).negative) == [1, 3, 8]
    assert rows_of(combine_prompts(prompts, (1.0,) * 3, Combine.MAX).negative) == pytest.approx([4])
    assert combine_prompts(prompts[1:2] * 2, (1.0, 1.0), Combine.MAX).negative is None


def test_kinds_of_negatives():
    none, black = (
        prompt_of(1, negative_kind=Negative.NONE),
        prompt_of(1, negative=[0], negative_kind=Negative.BLACK_PICTURE),
    )
    assert combine_prompts([none, none], (1.0, 1.0), Combine.ADD).negative_kind is Negative.NONE
    joined = combine_prompts([black, prompt_of(2)], (1.0, 1.0), Combine.CONCAT)
    assert (rows_of(joined.negative), joined.negative_kind) == ([0], Negative.AUTO)
    for other in (prompt_of(2), black):
        with pytest.raises(SettingError, match="auto, none"):
            combine_prompts([none, other], (1.0, 1.0), Combine.CONCAT)


def test_origin_is_kept_where_it_is_the_same():
    origin = Origin(224, Preparation())
    same, other = prompt_of(1, origin=origin), prompt_of(1, origin=Origin(224, Preparation(sharpening=1.0)))
    assert combine_prompts([same, same], (1.0, 1.0), Combine.CONCAT).origin == origin
    assert combine_prompts([same, other], (1.0, 1.0), Combine.CONCAT).origin is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pooled": torch.ones(1, 7)},
            "first has pooled width 6 and 5 patches of width 4, number 2 has pooled width 7",
        ),
        ({"penultimate": torch.ones(1, 6, 4)}, "number 2 has pooled width 6 and 6 patches"),
        ({"penultimate": torch.ones(1, 5, 0)}, "5 patches of width 0"),
    ],
)
def test_prompts_of_encoders_of_other_sizes(change, message):
    other = prompt_of(2)
    other = replace(other, positive=replace(other.positive, **change))
    with pytest.raises(WrongEncoderError, match=message):
        combine_prompts([prompt_of(1), other], (1.0, 1.0), Combine.CONCAT)


def test_encoders_of_one_size_are_told_apart_by_the_zero_picture():
    with pytest.raises(WrongEncoderError, match="another one than the first, of the same size"):
        combine_prompts([prompt_of(1), prompt_of(2, zero=1)], (1.0, 1.0), Combine.CONCAT)
    rounded = prompt_of(2)
    coarse = (part.bfloat16().float() for part in (rounded.zero_picture.pooled, rounded.zero_picture.penultimate))
    unknown = replace(rounded, zero_picture=NOTHING)
    for other in (replace(rounded, zero_picture=Features(*coarse)), unknown):
        assert len(combine_prompts([prompt_of(1), other], (1.0, 1.0), Combine.CONCAT).positive) == 2
