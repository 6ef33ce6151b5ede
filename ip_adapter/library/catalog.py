"""Published files that people use with IP-Adapters: where they are, what they are, and how to know them again.

The facts are data, in `catalog.json`. `sha256` and `size` are null where nobody has published them, never guessed.
"""

import json
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from ..files.stamps import sha256_of

FILE = Path(__file__).with_name("catalog.json")
_HUB = re.compile(r"https://huggingface\.co/([^/]+/[^/]+)/resolve/main/(.+)")


@dataclass(frozen=True)
class CatalogEntry:
    """One published file. `encoder`, `face`, `lora` and `prefer` are names of other entries, None if it needs none."""

    name: str
    file: str  # the name under which it is kept; for an archive the folder of its contents
    folder: str  # of the host's `models`
    url: str
    sha256: str | None
    size: int | None  # in bytes
    licence: str
    kind: str  # as in `spec.Kind` or `relatives.py`, or what else it is
    base: str | None
    encoder: str | None  # the image encoder it was trained with
    lora: str | None  # the LoRA that other packs load beside it
    note: str | None
    face: str | None = None  # the face recogniser it was trained with
    prefer: str | None = None  # the same adapter in a better container
    contents: tuple[str, ...] = ()  # the files of an archive

    @property
    def hub(self) -> tuple[str, str] | None:
        """Repository and path on the Hugging Face hub, None for a file that lies elsewhere."""
        match = _HUB.fullmatch(self.url)
        return (match[1], match[2]) if match else None


@cache
def entries() -> tuple[CatalogEntry, ...]:
    """Every entry, in the order of the file."""
    facts: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    for fact in facts:
        fact["contents"] = tuple(fact.get("contents", ()))
    return tuple(CatalogEntry(**fact) for fact in facts)


def by_name(name: str) -> CatalogEntry | None:
    """The entry of this name, or else of this file name."""
    named = (entry for entry in entries() if entry.name == name)
    return next(named, None) or next((entry for entry in entries() if entry.file == name), None)


def by_sha256(digest: str) -> CatalogEntry | None:
    """The entry whose published hash this is."""
    return next((entry for entry in entries() if entry.sha256 == digest), None)


def by_size(size: int) -> tuple[CatalogEntry, ...]:
    """The entries of exactly this many bytes."""
    return tuple(entry for entry in entries() if entry.size == size)


def identify(path: Path) -> CatalogEntry | None:
    """The published file that this one is, whatever its name. It is read only if its size is a known one."""
    facts = path.stat()
    return _identified(path, facts.st_size, facts.st_mtime_ns) if by_size(facts.st_size) else None


@lru_cache
def _identified(path: Path, size: int, changed: int) -> CatalogEntry | None:
    return by_sha256(sha256_of(path))
