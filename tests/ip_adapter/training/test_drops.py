"""What is dropped, against the reference's rule: one draw, three intervals."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.training.batch import Batch, Text, UncondBatch
from ip_adapter_nodes.ip_adapter.training.drops import Drops
from ip_adapter_nodes.ip_adapter.training.loss import dropped

DROPS = Drops(picture=0.1, text=0.2, both=0.3)


def lost(chance: float) -> tuple[bool, bool]:
    """Whether picture and text are lost."""
    if chance < 0.1:
        return True, False
    if chance < 0.1 + 0.2:
        return False, True
    return (True, True) if chance < 0.1 + 0.2 + 0.3 else (False, False)


def test_every_sample_loses_what_the_reference_takes(generator):
    chances = torch.rand(500, generator=generator)
    expected = [lost(chance) for chance in chances.tolist()]
    assert DROPS.without_picture(chances).tolist() == [picture for picture, _ in expected]
    assert DROPS.without_text(chances).tolist() == [text for _, text in expected]
    assert set(expected) == {(True, False), (False, True), (True, True), (False, False)}


def test_the_papers_chances_are_the_default():
    chances = (torch.arange(1000) + 0.5) / 1000
    assert int(Drops().without_picture(chances).sum()) == 100
    assert int(Drops().without_text(chances).sum()) == 100
    assert int((Drops().without_text(chances) & Drops().without_picture(chances)).sum()) == 50


def test_what_is_dropped_is_replaced_and_nothing_else(generator):
    def tensors(count, *shapes):
        return [torch.randn(count, *shape, generator=generator) for shape in shapes]

    latents, context, vector, face, patches = tensors(4, (4, 8, 8), (3, 6), (5,), (7,), (2, 9))
    other_context, other_vector, other_face, other_patches = tensors(1, (3, 6), (5,), (7,), (2, 9))
    batch = Batch(latents, Text(context, vector), (face, patches))
    nothing = UncondBatch(Text(other_context, other_vector), (other_face, other_patches))
    seen = dropped(batch, nothing, torch.tensor([0.05, 0.15, 0.35, 0.9]), DROPS)
    assert seen.latents is latents
    pairs = [(seen.text.context, context, other_context), (seen.text.vector, vector, other_vector)]
    for given, own, other in pairs:
        torch.testing.assert_close(given, torch.stack([own[0], other[0], other[0], own[3]]), rtol=0, atol=0)
    for given, own, other in zip(seen.image, (face, patches), (other_face, other_patches), strict=True):
        torch.testing.assert_close(given, torch.stack([other[0], own[1], other[0], own[3]]), rtol=0, atol=0)


@pytest.mark.parametrize("chances", [(-0.1, 0, 0), (0.5, 0.4, 0.2)])
def test_chances_that_are_none_are_refused(chances):
    with pytest.raises(SettingError, match="sum to 1 at most"):
        Drops(*chances)
