"""How strongly an adapter acts at each cross-attention."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from ..bases.backbone import Block, Site
from ..bases.backbones import block_name, block_of, blocks_of, parts_by_word
from ..bases.base_models import base_name
from ..errors import SettingError
from .entries import number_text, read_entries
from .weight_types import WEIGHT_TYPES, Strength

_PARTS = {word: part.name for word, part in parts_by_word()}
_NAME = re.compile(
    rf"(?P<part>all(?!\s*\d)|{'|'.join(sorted(_PARTS, key=len, reverse=True))}|(?=\d))\s*"
    r"(?:(?P<first>\d+)(?:\s*-\s*(?P<last>\d+))?)?"
    r"(?:\s*[. ]\s*(?P<depth>\d+))?",
    re.IGNORECASE,
)
_EXPECTED = "a layer and a factor as in4:0.5, mid:0, out0-2:1.2, in7.3:0.2 or all:0"


@dataclass(frozen=True)
class Layers:
    """The sites that a name means: "in4", "out0-2", "mid", "in7.3" (its depth 3), "6" (the seventh block), "all"."""

    part: str | None  # None: numbers are positions among all blocks, in the order of execution
    numbers: range
    depth: int | None

    @classmethod
    def named(cls, name: str) -> "Layers":
        """Raises SettingError for a name that means nothing."""
        match = _NAME.fullmatch(name.strip())
        if match is None:
            raise SettingError(f"Cannot read the layer {name!r}: expected {_EXPECTED}.")
        first, depth = match["first"], match["depth"]
        numbers = range(sys.maxsize) if first is None else range(int(first), int(match["last"] or first) + 1)
        return cls(_PARTS.get(match["part"].lower()), numbers, None if depth is None else int(depth))

    def hold(self, site: Site, position: int) -> bool:
        """Whether the site is among them, whose block is at this position in the order of execution."""
        part, number, depth = site.block
        at = position if self.part is None else number
        return self.part in (None, part) and at in self.numbers and self.depth in (None, depth)


@dataclass(frozen=True)
class LayerWeights:
    """A weight type times factors of layers by name; later ones override earlier ones, what is not named keeps 1.

    With `blocks`, the factors are a whole table: one per block in the order of execution, for models of so many blocks.
    """

    factors: tuple[tuple[str, float], ...] = ()
    weight_type: str = "linear"
    blocks: int | None = None

    def __post_init__(self) -> None:
        _check_weight_type(self.weight_type)
        wrong = [name for name, factor in self.factors if not isfinite(factor)]
        if wrong:
            raise SettingError(f"Expected finite layer weights, got NaN or infinity for {', '.join(wrong)}.")
        for name, _ in self.factors:
            Layers.named(name)

    @classmethod
    def parse(cls, text: str, weight_type: str = "linear") -> "LayerWeights":
        """Layer weights of a text: `name:factor` entries, or one number per block, separated by commas or line ends.

        Raises SettingError that names the place of what cannot be read.
        """
        entries = read_entries(text, _NAME, _EXPECTED)
        named = [entry for entry in entries if entry.name]
        if named and len(named) < len(entries):
            place = next(entry.place for entry in entries if not entry.name)
            raise SettingError(f"At {place}: expected {_EXPECTED}, or numbers alone, one per block. Correct the text.")
        factors = tuple((entry.name or str(index), entry.number) for index, entry in enumerate(entries))
        return cls(factors, weight_type, None if named or not entries else len(entries))

    def text(self) -> str:
        """The factors as `parse` reads them; the weight type is not part of the text."""
        numbers = ((name, number_text(factor)) for name, factor in self.factors)
        return ", ".join(number if self.blocks is not None else f"{name}:{number}" for name, number in numbers)

    def at(self, sites: Sequence[Site]) -> list[Strength]:
        """One strength per site. Raises SettingError for layers that the model does not have."""
        blocks = blocks_of(sites)
        if self.blocks not in (None, len(blocks)):
            names = ", ".join(map(block_name, blocks))
            raise SettingError(f"Expected {len(blocks)} layer weights, one each for {names}, got {self.blocks}.")
        strengths = type_strengths(self.weight_type, sites)
        return [
            strength * Strength(factor)
            for strength, factor in zip(strengths, self._named_factors(sites, blocks), strict=True)
        ]

    def _named_factors(self, sites: Sequence[Site], blocks: tuple[Block, ...]) -> list[float]:
        result = [1.0] * len(sites)
        for name, factor in self.factors:
            layers = Layers.named(name)
            meant = [n for n, site in enumerate(sites) if layers.hold(site, blocks.index(block_of(site)))]
            if not meant:
                base = base_name(sites[0].context_width, len(sites))
                names = ", ".join(map(block_name, blocks))
                raise SettingError(f"There is no cross-attention named {name} in {base}. It has {names}.")
            for n in meant:
                result[n] = factor
        return result


def _check_weight_type(weight_type: str) -> None:
    if weight_type not in WEIGHT_TYPES:
        raise SettingError(f"Unknown weight type {weight_type!r}. Choose one of: {', '.join(WEIGHT_TYPES)}.")


def type_strengths(weight_type: str, sites: Sequence[Site]) -> list[Strength]:
    """One strength per site, that of its block in the table of the weight type."""
    _check_weight_type(weight_type)
    table = WEIGHT_TYPES[weight_type](blocks_of(sites))
    return [table[block_of(site)] for site in sites]


def site_strengths(weight_type: str, layer_weights: LayerWeights | None, sites: Sequence[Site]) -> list[Strength]:
    """One strength per site: that of the weight type times that of the layer weights.

    Raises SettingError for an unknown weight type and for layer weights of sites that the model does not have.
    """
    strengths = type_strengths(weight_type, sites)
    if layer_weights is None:
        return strengths
    return [own * given for own, given in zip(strengths, layer_weights.at(sites), strict=True)]
