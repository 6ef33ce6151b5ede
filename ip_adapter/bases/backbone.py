"""What has cross-attentions that an adapter can enter: the questions that everybody asks of a base model's network."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from torch import nn

BlockKey = tuple[str, int, int]  # part, number, depth
Block = tuple[str, int]  # one transformer of the host, of one or more layers deep: part, number
COMPILED = "_orig_mod"  # under which torch.compile keeps the module it wraps, the whole network or a part of it


@dataclass(frozen=True)
class Site:
    """One cross-attention: where the host calls it, and the sizes of its matrices."""

    block: BlockKey
    width: int
    context_width: int
    heads: int
    path: str = field(default="", compare=False)  # of the block among the network's modules

    @property
    def name(self) -> str:
        return " ".join(map(str, self.block))


class BranchEntry(str, Enum):
    """How the image branch of a site enters its block; what that means in ComfyUI's terms is the host folder's."""

    CROSS_ATTENTION = "attn2"  # added to what the text attention of the site gives


class Column(Enum):
    """Where pictures of a network show a part."""

    LEFT = "left"  # downwards
    RIGHT = "right"  # upwards
    BELOW = "below"


@dataclass(frozen=True)
class BackbonePart:
    """A part of a network, as block keys and people call it."""

    name: str
    short: str
    column: Column
    is_numbered: bool = True  # False for a part of one block, which is called by the part's name alone


class BlockRole(Enum):
    """What blocks do for the picture, as far as weight types distinguish it."""

    ENCODER = "encoder half"
    BOTTLENECK = "bottleneck"
    DECODER = "decoder half"
    COMPOSITION = "composition"
    STYLE = "style"


class Backbone(ABC):
    """A class of networks whose members have sites."""

    name: str
    entry: BranchEntry
    parts: tuple[BackbonePart, ...]  # in the order in which the network runs them

    @abstractmethod
    def sites(self, network: nn.Module) -> tuple[Site, ...]:
        """The sites of a live network in the order in which published files number them; empty for another class."""

    @abstractmethod
    def number(self, position: int) -> int:
        """The number by which published files call the site at a position of that order, both from 0."""

    @abstractmethod
    def roles(self, blocks: Sequence[Block]) -> Mapping[BlockRole, Mapping[Block, float]]:
        """The blocks that have each role that is known of them, with their share in it."""

    def vector_width(self, network: nn.Module) -> int | None:
        """Width of the vector of pooled text and sizes, which tells bases of equal sites apart; None without one."""
        return None

    def part(self, name: str) -> BackbonePart:
        """The part of this name in block keys."""
        return next(part for part in self.parts if part.name == name)

    def position(self, block: Block) -> tuple[int, int]:
        """Sorts blocks in the order of execution."""
        return self.parts.index(self.part(block[0])), block[1]

    def block_name(self, block: Block) -> str:
        """The name by which texts and pictures call a block: "in4", "mid", "out11"."""
        part = self.part(block[0])
        return f"{part.short}{block[1]}" if part.is_numbered else part.short
