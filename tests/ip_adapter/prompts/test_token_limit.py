"""Positive and negative pictures whose numbers do not divide are repeated until they do, within a limit."""

import pytest
import torch
from factories import key_values, make_adapter
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.prompts.features import Features
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt

SITES = (Site(("input", 1, 0), 8, 16, 2),)


def features(count):
    return Features(torch.randn(count, 1024), torch.randn(count, 1, 1))


def tokens(positives, negatives):
    prompt = ImagePrompt(features(positives), features(negatives), features(1), (1.0,) * positives)
    (item,) = key_values(make_adapter(SITES), prompt, SITES, [1.0])
    return item.key.shape[2]


@pytest.mark.parametrize(("positives", "negatives", "pictures"), [(1, 1, 1), (3, 1, 3), (2, 3, 6), (3000, 1, 3000)])
def test_both_sides_become_equally_long(positives, negatives, pictures):
    assert tokens(positives, negatives) == 4 * pictures


def test_numbers_that_would_need_too_many_tokens_are_refused():
    with pytest.raises(SettingError, match="388 positive and 356 negative tokens, which need 34532"):
        tokens(97, 89)
