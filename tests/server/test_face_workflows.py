"""The workflows about faces: who is drawn, where, and by which photographs. In the demo world somebody is an object."""

import torch

PERSON, OTHER = ("star", "yellow"), ("heart", "pink")
NOBODY = {"ApplyFaceID.weight": 0.0, "ApplyFaceID.lora_weight": 0.0}


def who(attributes):
    return attributes["shape"], attributes["colour"]


def test_one_photograph_gives_the_person_and_the_text_the_background(draw, read, demo_graph):
    (made,) = read(draw(demo_graph("22_faceid")))
    (without,) = read(draw(demo_graph("22_faceid", **NOBODY)))
    assert (who(made), made["background"]) == (PERSON, "blue")
    assert who(without) != PERSON


def test_another_person_is_chosen_by_the_photograph(draw, read, demo_graph):
    chosen = {"Photograph.image": "two_people.png", "AnalyzeFaces.which": "left to right", "AnalyzeFaces.index": 1}
    (made,) = read(draw(demo_graph("22_faceid", **chosen)))
    assert who(made) == OTHER


def test_several_photographs_show_one_person(draw, read, demo_graph):
    name = "23_several_photographs"
    several, first = draw(demo_graph(name)), draw(demo_graph("22_faceid"))
    assert who(read(several)[0]) == PERSON
    assert (several - first).abs().mean() > 0.005
    (averaged,) = read(draw(demo_graph(name, **{"ApplyFaceID.combine": "average"})))
    assert who(averaged) == PERSON


def test_two_people_stand_in_their_own_places(draw, read, demo_graph):
    exchanged = {"Analyze Faces (left).index": 1, "Analyze Faces (right).index": 0}
    for changes, expected in (({}, [PERSON, OTHER]), (exchanged, [OTHER, PERSON])):
        made = draw(demo_graph("24_two_people", **changes))
        assert [who(half) for half in read(torch.cat(made.chunk(2, dim=3)))] == expected
