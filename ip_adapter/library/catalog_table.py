"""The catalogue for people: as the table in docs/files.md, and for a terminal."""

from collections.abc import Sequence

from .catalog import CatalogEntry

_HEADINGS = ("name", "size", "base", "needs", "goes into", "licence", "what it is")


def markdown(entries: Sequence[CatalogEntry]) -> str:
    """The table of docs/files.md, without what there is a better container for."""
    rows = [_row(entry, f"[`{entry.name}`]({entry.url})") for entry in entries if entry.prefer is None]
    lines = [_HEADINGS, ("---",) * len(_HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rows(entries: Sequence[CatalogEntry]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and every entry, for a terminal."""
    return _HEADINGS, [_row(entry, entry.name) for entry in entries]


def size_text(size: int | None) -> str:
    """Bytes as people read them, as "98 MB"; empty if not known."""
    if size is None:
        return ""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _row(entry: CatalogEntry, name: str) -> tuple[str, ...]:
    what = f"{entry.kind}: {entry.note}" if entry.note else entry.kind
    needs = ", ".join(filter(None, (entry.encoder, entry.face)))
    return name, size_text(entry.size), entry.base or "", needs, f"models/{entry.folder}", entry.licence, what
