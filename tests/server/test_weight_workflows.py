"""The workflows about how strongly and in which layers, and the one that keeps a prompt."""

import pytest


def looks(labels):
    return labels["colour"], labels["background"]


def only(graph, prefix):
    """The graph with one of its saved pictures."""
    return {
        key: node
        for key, node in graph.items()
        if node["class_type"] != "SaveImage" or node["inputs"]["filename_prefix"] == prefix
    }


@pytest.fixture(scope="module")
def reference(read, shipped):
    (labels,) = read(shipped("reference.png"))
    return labels


def test_the_reference_comes_through_with_the_weight(draw, read, demo_graph, reference):
    graph = demo_graph("14_weight")
    low, middle, high = (read(draw(only(graph, f"weight_{weight}")))[0] for weight in (0.3, 0.6, 1.0))
    (none,) = read(draw(only(demo_graph("14_weight", **{"ApplyIPAdapter.weight": 0.0}), "weight_0.3")))
    assert looks(high) == looks(middle) == looks(low) == looks(reference) != looks(none)
    assert none["shape"] == low["shape"] == "heart"
    assert high["shape"] == reference["shape"]


def test_two_adapters_share_one_image_prompt(draw, read, demo_graph, reference):
    graph = demo_graph("15_plus")
    standard, plus = (draw(only(graph, f"plus_{name}")) for name in ("standard", "plus"))
    assert read(standard)[0] == reference
    assert looks(read(plus)[0]) == looks(reference)
    assert not standard.equal(plus)


def test_style_only_takes_the_looks_and_composition_only_leaves_them(draw, read, demo_graph, reference):
    (style,) = read(draw(demo_graph("16_style_only")))
    (composition,) = read(draw(demo_graph("17_composition_only")))
    assert looks(style) == looks(reference)
    assert looks(composition) != looks(reference)


def test_a_layer_table_acts_where_it_is_not_zero(draw, read, demo_graph, reference):
    name = "18_layer_table"
    assert looks(read(draw(demo_graph(name)))[0]) == looks(reference)
    none = draw(demo_graph(name, **{"LayerWeights.layers": "all:0"}))
    assert none.equal(draw(demo_graph(name, **{"ApplyIPAdapter.weight": 0.0})))


def test_a_saved_prompt_gives_the_picture_again_without_the_encoder(draw, server, demo_graph):
    graph = demo_graph("28_saved_image_prompts", **{"SaveImagePrompt.name": "of_this_test_alone"})
    first = draw(graph)
    files = server.object_info()["LoadImagePrompt"]["input"]["required"]["file"][1]["options"]
    (saved,) = (file for file in files if "of_this_test_alone" in file)
    kinds = {node["class_type"]: key for key, node in graph.items()}
    graph[kinds["ApplyIPAdapter"]]["inputs"]["image_prompt"] = ["loaded", 0]
    for kind in ("EncodeImagePrompt", "SaveImagePrompt", "CLIPVisionLoader", "LoadImage"):
        del graph[kinds[kind]]
    graph["loaded"] = {"class_type": "LoadImagePrompt", "inputs": {"file": saved}, "_meta": {"title": "Loaded"}}
    assert draw(graph).equal(first)
