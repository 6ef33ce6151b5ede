"""Each further workflow answers its question: its picture against that of the same graph without what it is about."""

import torch

SWAPPED = {"Reference picture.image": "second.png", "Second reference.image": "reference.png"}


def distance(one, other):
    """Between the mean colours of two pictures, summed over the channels."""
    return (one.mean(dim=(0, 2, 3)) - other.mean(dim=(0, 2, 3))).abs().sum().item()


def blue_on_the_left(pictures):
    """How much bluer, against red, the left end of a picture is than its right end: from -2 to 2."""
    blueness = pictures[:, 2] - pictures[:, 0]
    strip = blueness.shape[-1] * 5 // 16
    return (blueness[..., :strip].mean() - blueness[..., -strip:].mean()).item()


def white_share(pictures):
    return (pictures.amin(dim=1) > 0.8).float().mean().item()


def test_several_pictures_are_followed_together_and_give_what_they_share(draw, read, demo_graph):
    name = "03_several_pictures"
    both = draw(demo_graph(name))
    first = draw(demo_graph(name, **{"Second reference.image": "reference.png"}))
    second = draw(demo_graph(name, "unwanted.png"))
    assert read(both)[0]["background"] == "blue"
    assert (both - first).abs().mean() > 0.04
    assert (both - second).abs().mean() > 0.04
    assert read(draw(demo_graph(name, **{"ApplyIPAdapter.weight": 0.0})))[0]["background"] != "blue"


def test_a_negative_picture_leads_away_from_it(draw, demo_graph, shipped):
    led_away = demo_graph("04_negative_picture")
    without = demo_graph("04_negative_picture")
    for node in without.values():
        node["inputs"].pop("negative_image", None)
    unwanted = shipped("unwanted.png")
    assert distance(draw(led_away), unwanted) > distance(draw(without), unwanted) + 0.08


def test_looks_and_composition_are_in_different_layers(draw, read, demo_graph, shipped):
    (reference,) = read(shipped("reference.png"))
    graph = demo_graph("05_weight_types")
    (composition,), (looks,) = (read(draw(only(graph, word))) for word in ("composition", "style"))
    assert (looks["colour"], looks["background"]) == (reference["colour"], reference["background"])
    assert composition["background"] != reference["background"]


def only(graph, word):
    """The graph with one of its two pictures."""
    return {
        key: node
        for key, node in graph.items()
        if node["class_type"] != "SaveImage" or node["inputs"]["filename_prefix"].endswith(word)
    }


def test_each_reference_fills_its_own_region(draw, read, demo_graph):
    """A striped yellow star and a white cross, then the other way round."""
    name, cross, star = "06_regions_with_masks", "second_on_blue.png", "reference.png"
    swapped = {"Reference picture.image": cross, "Second reference.image": star}
    made, other = (draw(demo_graph(name, **changes)).chunk(2, dim=3) for changes in ({}, swapped))
    for with_star, with_cross in (made, other[::-1]):
        (found,) = read(with_cross)
        assert (found["shape"], found["colour"], found["background"]) == ("cross", "white", "blue")
        assert white_share(with_star) < 0.5 * white_share(with_cross)
        assert read(with_star)[0]["shape"] == "star"


def test_a_schedule_leaves_the_first_steps_to_the_text(draw, read, demo_graph, shipped):
    (reference,) = read(shipped("reference.png"))
    (late,) = read(draw(demo_graph("07_schedule_over_steps")))
    (always,) = read(draw(demo_graph("07_schedule_over_steps", **{"WeightSchedule.progress": "1"})))
    assert always == reference
    assert late == reference | {"shape": "heart"}


def test_image_to_image_keeps_the_structure_and_takes_the_colour(draw, read, overlap, demo_graph, shipped):
    name, given = "08_image_to_image", shipped("second.png")
    all_of_it = {"KSampler.denoise": 1.0, "ApplyIPAdapter.start_percent": 0.0}
    made, anew, plain = (draw(demo_graph(name, **change)) for change in ({}, all_of_it, {"ApplyIPAdapter.weight": 0.0}))
    (reference,), (before,), (after,) = (read(picture) for picture in (shipped("person.png"), given, made))
    much = draw(demo_graph(name, **{"KSampler.denoise": 1.0}))
    assert overlap(made, given) > max(overlap(anew, given), overlap(much, given)) + 0.1
    assert (after["shape"], after["background"]) == (before["shape"], before["background"])
    assert read(anew)[0]["background"] == reference["background"] != before["background"]
    assert after["colour"] == reference["colour"] != read(plain)[0]["colour"]


def right_edge(pictures):
    """The mean colour of the last sixteenth of the columns."""
    return pictures[..., -pictures.shape[-1] // 16 :].mean(dim=(0, 2, 3))


def test_inpainting_fills_the_hole_after_the_reference_and_leaves_the_rest(draw, demo_graph, shipped):
    before, after = shipped("hole.png"), draw(demo_graph("09_inpainting"))
    half = before.shape[-1] // 2
    assert after[..., :half].equal(before[..., :half])
    drawn, reference, ground = (right_edge(picture) for picture in (after, shipped("reference.png"), before))
    assert torch.dist(drawn, reference) < torch.dist(drawn, ground) / 2


def test_tiles_see_the_ends_of_a_wide_reference_and_crop_its_middle(draw, read, demo_graph):
    (tiles,) = read(draw(demo_graph("10_wide_reference")))
    (crop,) = read(draw(demo_graph("10_wide_reference", **{"EncodeImagePrompt.fit": "crop"})))
    assert (tiles["background"], crop["background"]) == ("red", "blue")


def test_an_animation_goes_from_the_first_reference_to_the_last(draw, read, demo_graph, shipped):
    frames = draw(demo_graph("11_crossfade_animation"))
    assert len(frames) == 4
    named = read(frames)
    for frame, picture in ((named[0], "reference.png"), (named[-1], "second.png")):
        (reference,) = read(shipped(picture))
        assert (frame["colour"], frame["background"]) == (reference["colour"], reference["background"])


def test_two_regions_follow_their_own_text_and_picture(draw, read, demo_graph):
    made = draw(demo_graph("12_two_texts_two_pictures"))
    assert blue_on_the_left(made) > 0.3
    assert blue_on_the_left(draw(demo_graph("12_two_texts_two_pictures", **SWAPPED))) < -0.3
    left, right = read(torch.cat(made.chunk(2, dim=3)))
    assert (left["shape"], right["shape"]) == ("heart", "cross")


def test_the_sdxl_graph_follows_its_reference(draw, read, demo_graph, shipped):
    (reference,) = read(shipped("reference.png"))
    (followed,) = read(draw(demo_graph("13_sdxl")))
    (ignored,) = read(draw(demo_graph("13_sdxl", **{"ApplyIPAdapter.weight": 0.0})))
    assert (followed["colour"], followed["background"]) == (reference["colour"], reference["background"])
    assert ignored["background"] != reference["background"]
