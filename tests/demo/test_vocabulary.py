"""Every caption of the demo world is made of words that the text encoder knows, and fits into its length."""

from itertools import product

import pytest
from ip_adapter_nodes.demo.vocabulary import END, MAX_LENGTH, START, WORDS, WordTokenizer, padded_ids
from ip_adapter_nodes.demo.world import ATTRIBUTES, caption

TOKENIZER = WordTokenizer.from_pretrained("anything", unknown_option=1)


def captions():
    for labels in product(*(range(len(values)) for values in ATTRIBUTES.values())):
        yield caption(labels)
    for keep in product((True, False), repeat=len(ATTRIBUTES)):
        yield caption((0, 1, 2, 3), keep)


def test_words_are_one_each_with_the_markers_first():
    assert len(set(WORDS)) == len(WORDS)
    assert (WORDS[START], WORDS[END]) == ("<start>", "<end>")
    assert TOKENIZER.get_vocab() == {word: index for index, word in enumerate(WORDS)}


def test_every_caption_is_read_word_for_word():
    for text in captions():
        ids = TOKENIZER(text)["input_ids"]
        assert [WORDS[index] for index in ids] == ["<start>", *text.split(), "<end>"]


def test_every_caption_fits_and_is_padded_with_the_end():
    for text in captions():
        ids = padded_ids(text)
        words = len(text.split())
        assert len(ids) == MAX_LENGTH
        assert ids[words + 1 :] == [END] * (MAX_LENGTH - words - 1)
        assert words + 2 <= MAX_LENGTH


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("A RED, Disc!", "a red circle"),
        ("turquoise ball", "cyan circle"),
        ("photo of a spotted star, 4k", "a dotted star"),
        ("", ""),
        ("redstar", ""),
    ],
)
def test_case_punctuation_synonyms_and_unknown_words(text, same):
    assert TOKENIZER(text) == TOKENIZER(same)
    assert padded_ids(text) == padded_ids(same)
