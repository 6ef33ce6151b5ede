"""`models inspect`: all that is known of one file, and how it was decided."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...ip_adapter.files.checkpoint import TensorSource, read_tensors
from ...ip_adapter.library.catalog import CatalogEntry, by_name
from ...ip_adapter.library.inventory import Listed, Status, examine
from ...ip_adapter.recognition.layouts import canonical

DESCRIPTION = """\
Tell what one file is: kind, base, tokens, image encoder, LoRA, layout, precision, the published file it equals, its
metadata, and which rule decided what no tensor tells."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="an adapter, or what may be one")


def run(options: Namespace) -> int:
    """Print the facts; 1 for a file that cannot be read."""
    item = examine(options.file.absolute())
    if item.status is Status.DAMAGED:
        print(item.reason, file=sys.stderr)
        return 1
    facts = _facts(item, read_tensors(item.file))
    width = max(map(len, facts))
    print("\n".join(f"{label:<{width}}  {fact}" for label, fact in facts.items() if fact))
    return 0


def _facts(item: Listed, source: TensorSource) -> dict[str, str]:
    entry = by_name(item.name) if item.name else None
    renamed = canonical(source)
    return {
        "file": str(item.file),
        "status": item.status.value,
        "reason": item.reason or "",
        "kind": item.kind or "",
        "decided by": item.decided_by or "",
        "base": item.base or "",
        "fits": item.fits or "",
        "tokens": str(item.tokens or ""),
        "image encoder": item.encoder or ("none: it reads a face" if item.status is Status.SUPPORTED else ""),
        "LoRA": f"inside, rank {item.lora}" if item.lora else "",
        "layout": _layout(source, renamed),
        "precision": ", ".join(sorted(set(source.dtypes.values()))),
        "published as": _published(entry),
        "metadata": "; ".join(f"{key}={value}" for key, value in sorted(source.metadata.items())),
    }


def _layout(source: TensorSource, renamed: TensorSource) -> str:
    first = next(iter(source.shapes), "").partition(".")[0]
    names = "the published names" if renamed is source else f"other names, as {first}.*; 'models convert' renames them"
    return f"{len(source.shapes)} tensors under {names}"


def _published(entry: CatalogEntry | None) -> str:
    if entry is None:
        return ""
    parts = [f"{entry.name} ({entry.licence})", entry.note, f"needs {entry.face}" if entry.face else None]
    return "; ".join(filter(None, parts))
