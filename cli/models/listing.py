"""`models list`: list your adapter files and what each one is."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...ip_adapter.library.catalog import entries
from ...ip_adapter.library.catalog_table import markdown, rows
from ...ip_adapter.library.inventory import Listed, Status, inventory
from ...ip_adapter.library.model_folders import ModelFoldersError, adapter_folders
from .host import host_folder
from .table import aligned, printable

DESCRIPTION = """\
List adapter files: what each is, the base and the image encoder it fits, and what is wrong with it. What a file is
follows from its tensors, whatever its name. Without DIR: the folders in which the ComfyUI keeps adapters, those of
its extra_model_paths.yaml among them. Needs no running ComfyUI and no GPU; nothing in the files is executed."""
KEYS = ("file", "status", "kind", "base", "tokens", "encoder", "lora", "decided_by", "name", "reason")
_HEADINGS = ("file", "status", "kind", "base", "tokens", "image encoder", "LoRA", "published as")


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="DIR", help="folders, or single files, to list instead"
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects, with null for what is not known")
    parser.add_argument("--catalogue", action="store_true", help="list what 'models get' can fetch instead")
    parser.add_argument("--markdown", action="store_true", help="with --catalogue: as the table in docs/files.md")


def run(options: Namespace) -> int:
    """Print the list; 0 however bad the files are."""
    if options.catalogue:
        print(markdown(entries()) if options.markdown else aligned(*rows(entries())))
        return 0
    folders = _folders(options.folders)
    listed = inventory(folders, _show)
    _wipe()
    if options.json:
        print(json.dumps([as_json(item) for item in listed], indent=2))
    else:
        print(_text(listed, folders))
    return 0


def _show(path: Path) -> None:
    """The file that is being looked at, on a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[Klooking at {path.name[:60]}", end="", file=sys.stderr, flush=True)


def _wipe() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def as_json(item: Listed) -> dict[str, Any]:
    """The same facts under the same names, with the file as text."""
    values = {name: getattr(item, name) for name in KEYS}
    return values | {"file": str(item.file), "status": item.status.value}


def _folders(chosen: Sequence[Path]) -> list[Path]:
    if not chosen:
        return adapter_folders(host_folder("name a folder: models list DIR"))
    for path in chosen:
        if not path.exists():
            raise ModelFoldersError(f"There is no {path}. Name a folder that holds adapters, or none.")
    return [path.absolute() for path in chosen]


def _text(listed: list[Listed], folders: Sequence[Path]) -> str:
    where = ", ".join(map(str, folders))
    if not listed:
        place = f"in {where}" if where else "here: this ComfyUI has no folder models/ipadapter yet"
        return f"No adapter files {place}. 'models get NAME' fetches one; 'models list --catalogue' lists them."
    notes = [f"  {printable(note)}" for item in listed if (note := _note(item))]
    fits = sorted({f"  {item.base} fits {item.fits}." for item in listed if item.fits and item.base != "other"})
    counts = [f"{sum(item.status is status for item in listed)} {status.value}" for status in Status]
    table = aligned(_HEADINGS, [_row(item, folders) for item in listed])
    return "\n".join([f"In {where}:", table, *fits, *notes, f"{len(listed)} files: {', '.join(counts)}."])


def _row(item: Listed, folders: Sequence[Path]) -> tuple[str, ...]:
    within = next((folder for folder in folders if item.file.is_relative_to(folder)), None)
    file = item.file if within in (None, item.file) else item.file.relative_to(within)
    facts = (item.kind, item.base, item.tokens, item.encoder, f"rank {item.lora}" if item.lora else None, item.name)
    return (str(file), item.status.value, *("-" if fact is None else str(fact) for fact in facts))


def _note(item: Listed) -> str:
    """What a person has to know besides the row: what is wrong, or how the kind was guessed."""
    if item.reason:
        return item.reason
    known = item.decided_by in (None, "tensor shapes")
    return "" if known else f"{item.file.name} was taken for {item.kind} by {item.decided_by}."
