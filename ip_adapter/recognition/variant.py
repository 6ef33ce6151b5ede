"""What no tensor tells about a file, and in which order other facts are asked.

FaceID-Plus versions 1 and 2 have equal tensors and different formulas. FaceID Portrait unnorm and InstantID have equal
tensors too and were trained on different face recognisers. Order: the user's choice, the hash of a published file,
metadata that we wrote, the base that only one of them was published for, the file's name, the numbers' precision, a
stated default.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...models import KINDS, NETWORKS
from ...models.facts import Kind, PublishedKind

AUTO = "auto"
KIND_METADATA = "ip_adapter_nodes.kind"  # written by our converter and our training


def _alike() -> Iterator[Kind]:
    """Kinds that have their tensors in common with another one, and that these nodes run."""
    for network in NETWORKS:
        hinted = {one.kind for one in network.kinds if one.hints.file_name is not None}
        yield from (one.kind for one in network.kinds if len(hinted) > 1 and one.supported)


VARIANTS = (AUTO, *(kind.value for kind in Kind if kind in set(_alike())))


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
    """One of several kinds with equal tensors, and by which rule."""

    published: PublishedKind
    decided_by: str


def decide(candidates: Sequence[PublishedKind], name: str, context_width: int, clues: Clues) -> Decision:
    """Which of several kinds with equal tensors a file is; the first where nothing tells."""
    for reason, kind in _answers(candidates, name, context_width, clues):
        found = next((one for one in candidates if one.kind == kind), None)
        if found is not None:
            return Decision(found, reason)
    others = ", ".join(dict.fromkeys(one.kind.value for one in candidates if one.kind is not candidates[0].kind))
    return Decision(candidates[0], f"default, since nothing tells it from {others}")


def _answers(
    candidates: Sequence[PublishedKind], name: str, context_width: int, clues: Clues
) -> Iterator[tuple[str, str | None]]:
    """Every rule in turn: its reason and what it says, which need not be one of the candidates."""
    yield "the variant chosen on the node", clues.variant
    yield "sha256 of the published file", clues.published()
    yield "metadata", clues.metadata.get(KIND_METADATA)
    for one in candidates:
        if one.hints.context_width == context_width:
            yield one.hints.why, one.kind
    yield "file name", _named(name)
    matrices = {dtype for tensor, dtype in clues.dtypes.items() if tensor.startswith("ip_adapter.")}
    for one in candidates:
        if matrices == {one.hints.dtype}:
            yield one.hints.why, one.kind


def _named(name: str) -> Kind | None:
    """The first kind whose pattern is in the name, the more particular patterns first."""
    patterns = ((one.kind, one.hints.file_name) for one in KINDS if one.hints.file_name is not None)
    return next((kind for kind, pattern in patterns if pattern.search(name)), None)
