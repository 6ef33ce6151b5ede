"""The words that the demo text encoder knows, and a tokenizer of them in the form the host's SDTokenizer expects."""

from __future__ import annotations

import re

from . import world

START, END = 0, 1
MAX_LENGTH = 16
WORDS = ("<start>", "<end>", "a", "on", "background", *world.SHAPES, *world.COLOURS, *world.TEXTURES)

_SYNONYMS = {"disc": "circle", "ball": "circle", "turquoise": "cyan", "spotted": "dotted", "stripes": "striped"}


class WordTokenizer:
    """Whole words to token ids; words it does not know are left out, as they would only be noise to the model."""

    _ids = {word: index for index, word in enumerate(WORDS)}  # noqa: RUF012

    @classmethod
    def from_pretrained(cls, _path: str, **_options: object) -> WordTokenizer:
        return cls()

    def __call__(self, text: str) -> dict[str, list[int]]:
        words = (_SYNONYMS.get(word, word) for word in re.findall(r"[a-z]+", text.lower()))
        return {"input_ids": [START, *(self._ids[word] for word in words if word in self._ids), END]}

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)


def padded_ids(text: str) -> list[int]:
    """Token ids of a caption, padded with the end token to MAX_LENGTH, as the host's tokenizer pads."""
    ids = WordTokenizer()(text)["input_ids"]
    return ids + [END] * (MAX_LENGTH - len(ids))
