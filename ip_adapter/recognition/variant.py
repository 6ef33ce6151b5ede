"""What no tensor tells about a file, and in which order other facts are asked.

FaceID-Plus versions 1 and 2 have equal tensors and different formulas. FaceID Portrait unnorm and InstantID have equal
tensors too and were trained on different face recognisers. Order: the user's choice, the hash of a published file,
metadata that we wrote, the file's name, the numbers' precision, a stated default.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..spec import Kind
from .checkpoint import Shapes

AUTO = "auto"
INSTANT_ID = "instantid"
KIND_METADATA = "ip_adapter_nodes.kind"  # written by our converter and our training
# Pairs that only these rules tell apart; the first is the default.
PAIRS = ((Kind.FACEID_PLUS_V2.value, Kind.FACEID_PLUS.value), (Kind.FACEID_PORTRAIT_UNNORM.value, INSTANT_ID))
VARIANTS = (AUTO, Kind.FACEID_PLUS.value, Kind.FACEID_PLUS_V2.value, Kind.FACEID_PORTRAIT_UNNORM.value)
_NAMES = (
    (Kind.FACEID_PLUS_V2.value, re.compile(r"plus[-_ ]?v2", re.IGNORECASE)),
    (Kind.FACEID_PLUS.value, re.compile(r"faceid[-_ ]?plus", re.IGNORECASE)),
    (Kind.FACEID_PORTRAIT_UNNORM.value, re.compile(r"unnorm", re.IGNORECASE)),
    (INSTANT_ID, re.compile(r"instant[-_ ]?id", re.IGNORECASE)),
)


def _nothing_known() -> str | None:
    return None


@dataclass(frozen=True)
class Clues:
    """What is known of a file besides the shapes of its tensors.

    `published` looks the file's hash up and is called only when it matters, since it reads the whole file.
    """

    variant: str = AUTO
    published: Callable[[], str | None] = _nothing_known
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    dtypes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Decision:
    """One of a pair, and by which rule."""

    kind: str
    decided_by: str


def decide(pair: tuple[str, str], name: str, shapes: Shapes, clues: Clues) -> Decision:
    """Which of a pair of kinds with equal tensors a file is."""
    rules: tuple[tuple[str, Callable[[], str | None]], ...] = (
        ("the variant chosen on the node", lambda: clues.variant),
        ("sha256 of the published file", clues.published),
        ("metadata", lambda: clues.metadata.get(KIND_METADATA)),
        ("SDXL, for which only version 2 exists", lambda: _only_version(shapes)),
        ("file name", lambda: _named(name)),
        ("float32 throughout, as InstantID is published", lambda: _by_precision(clues.dtypes)),
    )
    for reason, answer in rules:
        kind = answer()
        if kind in pair:
            return Decision(kind, reason)
    return Decision(pair[0], f"default, since nothing tells it from {pair[1]}")


def _only_version(shapes: Shapes) -> str | None:
    widths = {shape[-1] for name, shape in shapes.items() if name.endswith(".to_v_ip.weight")}
    return Kind.FACEID_PLUS_V2.value if widths == {2048} else None


def _named(name: str) -> str | None:
    return next((kind for kind, pattern in _NAMES if pattern.search(name)), None)


def _by_precision(dtypes: Mapping[str, str]) -> str | None:
    matrices = {dtype for name, dtype in dtypes.items() if name.startswith("ip_adapter.")}
    return INSTANT_ID if matrices == {"F32"} else None
