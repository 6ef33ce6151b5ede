"""The table of base models: their names, and the cross-attentions by which they are known."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from ...models.facts import BaseModel
from .backbone import Site
from .backbones import vector_width
from .unet import UNetLayout

_KIN = "and models made from it"


def _each(numbers: range | tuple[int, ...], width: int, depth: int) -> dict[int, tuple[int, int]]:
    return dict.fromkeys(numbers, (width, depth))


_SD_INPUTS = _each((1, 2), 320, 1) | _each((4, 5), 640, 1) | _each((7, 8), 1280, 1)
_SD_OUTPUTS = _each(range(3, 6), 1280, 1) | _each(range(6, 9), 640, 1) | _each(range(9, 12), 320, 1)
_SDXL = UNetLayout(
    _each((4, 5), 640, 2) | _each((7, 8), 1280, 10),
    _each(range(3), 1280, 10) | _each(range(3, 6), 640, 2),
    {0: (1280, 10)},
    2048,
)
_REFINER = UNetLayout(
    _each((4, 5), 768, 4) | _each((7, 8), 1536, 4),
    _each(range(3, 6), 1536, 4) | _each(range(6, 9), 768, 4),
    {0: (1536, 4)},
    1280,
)
_SSD_1B = UNetLayout(
    _each((4, 5), 640, 2) | _each((7, 8), 1280, 4),
    _each((0, 1), 1280, 4) | {2: (1280, 10), 3: (640, 2)} | _each((4, 5), 640, 1),
    {},
    2048,
)
_VEGA = UNetLayout(
    _each((4, 5), 640, 1) | _each((7, 8), 1280, 2),
    _each(range(3), 1280, 2) | _each(range(3, 6), 640, 1),
    {},
    2048,
)
_KOALA_700M = UNetLayout({3: (640, 2), 5: (1280, 5)}, _each((0, 1), 1280, 5) | _each((2, 3), 640, 2), {}, 2048)


@dataclass(frozen=True)
class BaseFacts:
    """What people call a base, what else has the same cross-attentions (whatever it does with its input or its steps),
    and where it has them; where only their number was counted, `counted` is context width and number."""

    name: str
    also: str = _KIN
    layout: UNetLayout | None = None
    counted: tuple[int, int] | None = None
    vector_width: int | None = None  # of pooled text and sizes, where it tells two bases of one layout apart

    @property
    def sizes(self) -> tuple[int, int] | None:
        """Context width and number of cross-attentions, as counted on the host's own classes."""
        return self.counted if self.layout is None else (self.layout.context_width, len(self.layout.sites()))


# Of two bases of one layout the first is what sizes alone tell.
BASES: Mapping[BaseModel, BaseFacts] = {
    BaseModel.SD15: BaseFacts(
        "Stable Diffusion 1.5",
        "and models made from it, for inpainting and instructions too",
        UNetLayout(_SD_INPUTS, _SD_OUTPUTS, {0: (1280, 1)}, 768, heads=8),
    ),
    BaseModel.SD2: BaseFacts(
        "Stable Diffusion 2",
        "2.0 and 2.1 and models made from them, for inpainting too",
        UNetLayout(_SD_INPUTS, _SD_OUTPUTS, {0: (1280, 1)}, 1024),
    ),
    BaseModel.SDXL: BaseFacts(
        "SDXL",
        "1.0 and models made from it: fine-tunes, Turbo, Lightning, LCM, Playground, CosXL, inpainting",
        _SDXL,
        vector_width=2816,
    ),
    BaseModel.SDXL_REFINER: BaseFacts("SDXL refiner", layout=_REFINER),
    BaseModel.SSD_1B: BaseFacts("SSD-1B", layout=_SSD_1B),
    BaseModel.VEGA: BaseFacts("Segmind Vega", layout=_VEGA),
    BaseModel.KOALA_700M: BaseFacts("KOALA 700M", layout=_KOALA_700M),
    BaseModel.KOALA_1B: BaseFacts("KOALA 1B", counted=(2048, 30)),
    BaseModel.SDXS: BaseFacts("SDXS", counted=(768, 6)),
    BaseModel.KOLORS: BaseFacts("Kolors", layout=_SDXL, vector_width=5632),
    BaseModel.OTHER: BaseFacts("a UNet", "of these sizes"),
}
# The cross-attentions of each published layout, by the base's name.
BASE_SITES: Mapping[str, tuple[Site, ...]] = {
    facts.name: facts.layout.sites()
    for base, facts in BASES.items()
    if facts.layout is not None and base is not BaseModel.KOLORS
}
_BY_SIZES = {facts.sizes: base for base, facts in reversed(BASES.items()) if facts.sizes is not None}
_BY_VECTOR: Mapping[int | None, BaseModel] = {
    facts.vector_width: base for base, facts in BASES.items() if facts.vector_width is not None
}


def family_of(network: nn.Module) -> BaseModel | None:
    """Whether a UNet is SDXL's or Kolors', which no width of a site tells; None where the network does not show it."""
    return _BY_VECTOR.get(vector_width(network))


def base_of(context_width: int, sites: int, family: BaseModel | None = None) -> BaseModel:
    """The base that has this many cross-attentions of this width; `family` where more is known of it than that."""
    return BaseModel.KOLORS if family is BaseModel.KOLORS else _BY_SIZES.get((context_width, sites), BaseModel.OTHER)


def base_name(context_width: int, sites: int, family: BaseModel | None = None) -> str:
    """A base model in words, as "SDXL (70 cross-attentions, context width 2048)"."""
    name = BASES[base_of(context_width, sites, family)].name
    return f"{name} ({sites} cross-attentions, context width {context_width})"


def fitting_bases(context_width: int, sites: int, family: BaseModel | None = None) -> str:
    """The models that an adapter of these sizes fits, as "Stable Diffusion 1.5 and models made from it"."""
    facts = BASES[base_of(context_width, sites, family)]
    return f"{facts.name} {facts.also}"
