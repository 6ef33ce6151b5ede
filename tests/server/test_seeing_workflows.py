"""What is seen of an adapter on the real server: attention over the picture, and sheets of a sweep."""

import pytest
from ip_adapter_nodes.launcher.client import PromptFailedError

MAPS, SWEEP = "26_attention_maps", "27_weight_sweep"
CELL, GAP, BAND = 384, 8, 32
QUICK = {"KSampler.steps": 4, "EmptyLatentImage.width": 64, "EmptyLatentImage.height": 64}


def masks_only(graph, title):
    """The graph with the masks of one Attention Maps node as its only pictures, and the number of the sampler."""
    (maps,) = (key for key, node in graph.items() if node["_meta"]["title"] == title)
    kept = {key: node for key, node in graph.items() if node["class_type"] != "SaveImage"}
    kept["as picture"] = {"class_type": "MaskToImage", "inputs": {"mask": [maps, 1]}, "_meta": {"title": ""}}
    saved = {"images": ["as picture", 0], "filename_prefix": "masks"}
    return kept | {"save": {"class_type": "SaveImage", "inputs": saved, "_meta": {"title": ""}}}


def test_each_adapter_acts_in_its_half(draw, demo_graph):
    left, right = draw(masks_only(demo_graph(MAPS), "How much each adapter changes")).mean(dim=(1, 2))
    third = left.shape[-1] // 3
    for own, other in ((left[:third], left[-third:]), (right[-third:], right[:third])):
        assert own.mean() > 0.4
        assert other.mean() < 0.02


@pytest.fixture
def tokens(server, draw, demo_graph):
    """Runs the maps of tokens with changed widgets; gives them, and which nodes the server did not run again."""

    def run(**changes):
        graph = masks_only(demo_graph(MAPS, **QUICK, **changes), "Where each token is attended to")
        entry = server.run(graph)
        (cached,) = (message["nodes"] for kind, message in entry["status"]["messages"] if kind == "execution_cached")
        return draw(graph), {graph[key]["class_type"] for key in cached}

    return run


def test_maps_are_of_the_picture_that_is_shown_whatever_the_server_has_cached(tokens):
    title = "Where each token is attended to"
    first, _ = tokens(**{"KSampler.seed": 1})
    second, cached = tokens(**{"KSampler.seed": 2})
    assert "RecordAttention" in cached
    assert "KSampler" not in cached
    assert (first - second).abs().max() > 0.1
    narrow, cached = tokens(**{"KSampler.seed": 2, f"{title}.layers": "mid"})
    assert {"RecordAttention", "KSampler"} <= cached
    # The same with nothing cached: another record is another model.
    tokens(**{"KSampler.seed": 1, "RecordAttention.parts": 2})
    anew, cached = tokens(**{"KSampler.seed": 2, "RecordAttention.parts": 2, f"{title}.layers": "mid"})
    assert "KSampler" not in cached
    assert (narrow - anew).abs().max() <= 1 / 255


def distance(picture, reference):
    """Between mean colours, summed over the channels."""
    return (picture.mean(dim=(1, 2)) - reference.mean(dim=(1, 2))).abs().sum().item()


def cells(sheet, rows, columns):
    """The pictures on a sheet, by row and column."""
    return [
        [
            sheet[:, top : top + CELL, left : left + CELL]
            for left in (GAP + (CELL + GAP) * column for column in range(columns))
        ]
        for top in (BAND + BAND + (BAND + CELL) * row for row in range(rows))
    ]


def test_a_sweep_shows_more_of_the_reference_with_more_weight(draw, demo_graph, shipped):
    (sheet,) = draw(demo_graph(SWEEP))
    (reference,) = shipped("reference.png")
    assert sheet.shape == (3, BAND + 3 * (BAND + CELL) + GAP, 3 * (CELL + GAP) + GAP)
    linear, weak, style = cells(sheet, 3, 3)
    away = [distance(cell, reference) for cell in linear]
    assert away[0] > 2 * away[1] > 2 * away[2]
    assert (weak[0] - linear[0]).abs().max() == (style[0] - linear[0]).abs().max() == 0
    assert min(distance(cell, reference) for cell in (weak[2], style[2])) > 2 * away[2]


def test_every_row_and_column_of_a_sweep_has_its_label(draw, demo_graph):
    (sheet,) = draw(demo_graph(SWEEP, **QUICK))
    dark = sheet.mean(dim=0) < 0.5
    for column in range(3):
        assert dark[:BAND, (CELL + GAP) * column :][:, :CELL].any()
    for row in range(3):
        assert dark[BAND + (BAND + CELL) * row :][:BAND].any()


def test_a_cell_is_what_its_weight_draws_alone(draw, demo_graph):
    sweep = {"WeightSweep.weights": "0.2-0.8:3", "WeightSweep.weight_types": "ease in, linear"}
    (sheet,) = draw(demo_graph(SWEEP, **QUICK, **sweep))
    alone = demo_graph(SWEEP, **QUICK, **{"WeightSweep.weights": "0.5", "WeightSweep.weight_types": "linear"})
    (one,) = draw(alone)
    assert cells(sheet, 2, 3)[1][1].equal(cells(one, 1, 1)[0][0])


@pytest.mark.parametrize(
    ("widgets", "named"),
    [
        ({"WeightSweep.weights": "0.5, high"}, "character 6"),
        ({"WeightSweep.weight_types": "linear, wobbly"}, "wobbly"),
        ({"AttentionMaps.layers": "in99"}, "in99"),
    ],
)
def test_bad_texts_are_named(server, demo_graph, widgets, named):
    name = MAPS if "AttentionMaps.layers" in widgets else SWEEP
    with pytest.raises(PromptFailedError, match=named):
        server.run(demo_graph(name, **QUICK, **widgets))
