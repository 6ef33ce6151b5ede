"""The workflow that trains and the one that measures, on the real server."""

import re
from pathlib import Path

TRAIN, EVALUATE = "29_train_an_adapter", "30_evaluate"


def told(server, graph):
    """The texts that a graph shows, by the titles of the nodes that show them."""
    outputs = server.run(graph)["outputs"]
    titles = {key: node["_meta"]["title"] for key, node in graph.items()}
    return {titles[key]: output["text"][0] for key, output in outputs.items() if "text" in output}


def only(graph, word):
    """The graph with one of its saved pictures."""
    others = {
        key
        for key, node in graph.items()
        if node["class_type"] == "SaveImage" and not node["inputs"]["filename_prefix"].endswith(word)
    }
    return {key: node for key, node in graph.items() if key not in others}


def test_an_adapter_learns_a_style_and_draws_in_it_at_once(server, draw, read, demo_graph):
    """From ink drawings: those held out are predicted better, and a coloured reference comes out on white paper."""
    graph = demo_graph(TRAIN)
    texts = told(server, graph)
    assert texts["How many there are"] == "24 pictures, 0 of them without a caption"
    saved, account, losses = texts["What was done"].splitlines()
    before, after = map(float, re.findall(r"0\.\d+", losses))
    assert after < 0.95 * before
    assert account.startswith("24 pictures used; 0 broken")
    published, trained = (draw(only(graph, word)) for word in ("before", "after"))
    assert [read(picture)[0]["background"] for picture in (published, trained)] == ["blue", "white"]
    file = Path(saved.removeprefix("40 steps, saved as ")).name
    seed = {"LoadIPAdapter.file": file, "KSampler.seed": 1}
    assert draw(demo_graph("01_first_image_prompt", **seed)).equal(trained)


def test_pictures_with_the_adapter_score_higher_than_those_without(server, demo_graph):
    texts = told(server, demo_graph(EVALUATE))
    tables = [texts[f"CLIP-I {way}: table"].splitlines() for way in ("with the adapter", "without")]
    assert [len(table) for table in tables] == [2 + 4 + 1] * 2
    means, margins = zip(*(map(float, re.findall(r"-?\d\.\d+", table[-1])) for table in tables), strict=True)
    for table, mean in zip(tables, means, strict=True):
        scores = [float(row.split("|")[3]) for row in table[2:-1]]
        assert abs(sum(scores) / 4 - mean) <= 0.002
    assert means[0] - margins[0] > means[1] + margins[1]
