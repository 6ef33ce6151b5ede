"""Sides and areas of conditionings, as a guider and the host's batches give them."""

from types import SimpleNamespace

import pytest
import torch
from ip_adapter_nodes.ip_adapter.attention.key_value import NEGATIVE, POSITIVE
from ip_adapter_nodes.ip_adapter.attention.region import WHOLE
from ip_adapter_nodes.ip_adapter.host.rows import NOTES, Notes, note_conditionings, note_guider

AREAS_AND_WINDOWS = {
    "inside": ((3, 4, 1, 2), (1 / 6, 2 / 8, 3 / 6, 4 / 8)),
    "over the border": ((6, 8, 3, 4), (3 / 6, 4 / 8, 3 / 6, 4 / 8)),
    "of a video": ((5, 3, 4, 0, 1, 2), (1 / 6, 2 / 8, 3 / 6, 4 / 8)),
}


class Executor:
    """The host's, with the guider it works for; keeps the options it was called with."""

    def __init__(self, lists):
        self.class_obj = SimpleNamespace(original_conds=lists)

    def __call__(self, *arguments):
        self.options = next(argument for argument in arguments if isinstance(argument, dict))
        return "result"


def noted(given, evaluated):
    """The notes after a guider was given lists by name and other lists are evaluated."""
    executor = Executor(given)
    options = {"transformer_options": {"uuids": ["b", "a"]}, "kept": 1}
    assert note_guider(executor, torch.zeros(1, 4, 6, 8), torch.ones(1), options, 7) == "result"
    note_conditionings(executor, None, evaluated, torch.zeros(1, 4, 6, 8), torch.ones(1), executor.options)
    assert options == {"transformer_options": {"uuids": ["b", "a"]}, "kept": 1}
    assert executor.options["kept"] == 1
    return executor.options["transformer_options"][NOTES]


@pytest.mark.parametrize(("area", "window"), AREAS_AND_WINDOWS.values(), ids=AREAS_AND_WINDOWS)
def test_areas_become_windows(area, window):
    notes = noted({}, [[{"uuid": "a", "area": area}, {"uuid": "b"}, {"uuid": "c", "area": None}], None])
    assert notes.rows({"cond_or_uncond": [0, 0], "uuids": ["b", "a"]})[1] == (WHOLE, pytest.approx(window))


def cond(uuid, **more):
    return {"uuid": uuid} | more


P, N, M = cond("p"), cond("n"), cond("m", prompt_type="negative")
GIVEN = {"positive": [P], "middle": [M], "negative": [N]}
EVALUATED = {
    "guidance": ([[P], [N]], (POSITIVE, NEGATIVE)),
    "negative first, as DualCFG": ([[N], [M], [P]], (NEGATIVE, NEGATIVE, POSITIVE)),
    "empty last, as PerpNeg": ([[P], [N], [M]], (POSITIVE, NEGATIVE, NEGATIVE)),
    "negative alone, as SAG": ([[N]], (NEGATIVE,)),
    "positive second": ([None, [P]], (NEGATIVE, POSITIVE)),
    "copies, as of context windows": ([[dict(N)], [dict(P)]], (NEGATIVE, POSITIVE)),
    "with copies of the others' areas": ([[N, P], [P, N]], (NEGATIVE, POSITIVE)),
    "what the guider was never given": ([[cond("x")], [P]], (NEGATIVE, POSITIVE)),
}


@pytest.mark.parametrize(("evaluated", "sides"), EVALUATED.values(), ids=EVALUATED)
def test_sides_are_those_of_the_lists_that_the_guider_was_given(evaluated, sides):
    rows, _ = noted(GIVEN, evaluated).rows({"cond_or_uncond": list(range(len(evaluated)))})
    assert [side for side, listed in zip(rows, evaluated, strict=True) if listed] == [
        side for side, listed in zip(sides, evaluated, strict=True) if listed
    ]


@pytest.mark.parametrize("chunks", [(1, 0), (0,), (1,), (0, 1, 0), (2, 1, 0)], ids=str)
def test_without_a_guider_the_second_list_is_negative(chunks):
    expected = tuple(NEGATIVE if chunk == 1 else POSITIVE for chunk in chunks)
    assert noted({}, [[P], [N], [M]]).rows({"cond_or_uncond": chunks})[0] == expected
    assert Notes.of({}).rows({"cond_or_uncond": chunks})[0] == expected


def test_a_guider_of_another_kind_tells_nothing():
    executor = Executor({})
    executor.class_obj = object()
    note_guider(executor, torch.zeros(1), torch.ones(1), {}, 7)
    assert executor.options["transformer_options"][NOTES] == Notes({}, (), {})
