"""The workflows about faces: who is drawn, where, and by which photographs. In the demo world somebody is an object."""

PERSON, OTHER = ("star", "yellow"), ("heart", "pink")
NOBODY = {"ApplyFaceID.weight": 0.0, "ApplyFaceID.lora_weight": 0.0}


def who(attributes):
    return attributes["shape"], attributes["colour"]


def test_one_photograph_gives_the_person(draw, read, demo_graph):
    (made,) = read(draw(demo_graph("22_faceid")))
    assert who(made) == PERSON
    for seed in (1, 2, 3):  # where nobody is asked for, a shape or a colour may be the person's by chance, but not both
        graphs = (demo_graph("22_faceid", **change, **{"KSampler.seed": seed}) for change in ({}, NOBODY))
        (asked,), (without,) = (read(draw(graph)) for graph in graphs)
        assert asked["colour"] == made["colour"]
        assert who(without) != PERSON


def test_another_face_of_a_photograph_gives_another_person(draw, read, demo_graph):
    chosen = {"Photograph.image": "two_people.png", "AnalyzeFaces.which": "left to right", "AnalyzeFaces.index": 1}
    (made,) = read(draw(demo_graph("22_faceid", **chosen)))
    assert made["colour"] == OTHER[1]
    assert made["shape"] != PERSON[0]


def test_several_photographs_show_one_person(draw, read, demo_graph):
    name = "23_several_photographs"
    several, first = draw(demo_graph(name)), draw(demo_graph("22_faceid"))
    assert who(read(several)[0]) == PERSON
    assert (several - first).abs().mean() > 0.005
    (averaged,) = read(draw(demo_graph(name, **{"ApplyFaceID.combine": "average"})))
    assert who(averaged) == PERSON


def yellow_on_the_left(pictures):
    """How much yellower than pink the left half of a picture is, less the same of its right half."""
    left, right = ((half[:, 1] - half[:, 2]).mean().item() for half in pictures.chunk(2, dim=3))
    return left - right


def test_two_people_stand_in_their_own_places(draw, demo_graph):
    exchanged = {"Analyze Faces (left).index": 1, "Analyze Faces (right).index": 0}
    assert yellow_on_the_left(draw(demo_graph("24_two_people"))) > 0.05
    assert yellow_on_the_left(draw(demo_graph("24_two_people", **exchanged))) < -0.05


def test_face_structure_and_style_each_give_their_part(draw, read, overlap, demo_graph, shipped):
    name, structure = "25_faceid_controlnet", shipped("second.png")
    changes = {}, {"ControlNetApplyAdvanced.strength": 0.0}, {"LoraLoaderModelOnly.strength_model": 0.0}, NOBODY
    made, free, unstyled, nobody = (draw(demo_graph(name, **change)) for change in changes)
    assert overlap(made, structure) > overlap(free, structure) + 0.1
    assert read(unstyled)[0]["colour"] == "yellow" != read(nobody)[0]["colour"]
    assert (made - unstyled).abs().mean() > 0.02
