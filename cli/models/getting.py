"""`models get`: fetch a published file to where the host looks for it."""

import difflib
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from ...ip_adapter.errors import AdapterError
from ...ip_adapter.library.catalog import CatalogEntry, by_name, entries
from ...ip_adapter.library.catalog_table import rows, size_text
from ...ip_adapter.library.download import fetch, folder_for, is_there
from ...ip_adapter.library.transfer import Report
from .host import host_folder
from .table import aligned

DESCRIPTION = """\
Download files of the catalogue, by name or file name, into the right folder of the ComfyUI. A file appears under its
name only when size and sha256 are those published; one that is there already is checked and never replaced. After an
interruption the same command goes on where it stopped. Mind each file's licence: it is printed first."""
_LINE_SECONDS = 10.0  # between the lines of a progress bar that is not on a terminal


class UnknownNameError(AdapterError):
    """The catalogue has no such name."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="as 'models get --list' shows them")
    parser.add_argument("--into", type=Path, metavar="DIR", help="put the files right there instead")
    parser.add_argument("--list", action="store_true", help="show what can be got, and get nothing")


def run(options: Namespace) -> int:
    """Fetch one after the other; the first that fails ends it."""
    if options.list or not options.names:
        print(aligned(*rows(entries())))
        return 0
    wanted = [_named(name) for name in options.names]
    folders = [options.into or folder_for(entry, host_folder("--into DIR") / "models") for entry in wanted]
    for entry, folder in zip(wanted, folders, strict=True):
        _get(entry, folder.expanduser().absolute())
    if not options.into:
        _say_what_else(wanted)
    return 0


def _named(name: str) -> CatalogEntry:
    entry = by_name(name)
    if entry is None:
        near = difflib.get_close_matches(name, [entry.name for entry in entries()], n=3, cutoff=0.4)
        advice = f"Did you mean {', '.join(near)}? " if near else ""
        raise UnknownNameError(f"The catalogue has no {name!r}. {advice}'models get --list' shows all.")
    return entry


def _get(entry: CatalogEntry, folder: Path) -> None:
    if is_there(entry, folder):
        print(f"{folder / entry.file} is there already: nothing to do.")
        return
    print(f"{entry.name} ({size_text(entry.size) or 'size not known'}) from {entry.url}")
    print(f"  licence: {entry.licence}")
    if entry.prefer:
        print(f"  The same adapter as safetensors: {entry.prefer}")
    with _progress(entry.name) as report:
        path = fetch(entry, folder, report)
    print(f"  {path}")


def _say_what_else(wanted: Sequence[CatalogEntry]) -> None:
    models = host_folder("--into DIR") / "models"
    needed = {name for entry in wanted for name in (entry.encoder, entry.face) if name}
    for entry in filter(None, map(by_name, sorted(needed))):
        if not (folder_for(entry, models) / entry.file).exists():
            print(f"It needs {entry.name} too ({entry.note}), if you do not have it: run.py models get {entry.name}")


@contextmanager
def _progress(label: str) -> Generator[Report, None, None]:
    """A bar with bytes, speed and total on the error stream, from the first report on."""
    from tqdm import tqdm

    every = 0.1 if sys.stderr.isatty() else _LINE_SECONDS
    bars: list[tqdm[NoReturn]] = []
    with ExitStack() as stack:

        def report(done: int, size: int) -> None:
            if not bars:
                bar = tqdm(
                    desc=f"  {label}",
                    initial=done,
                    total=size,
                    unit="B",
                    unit_scale=True,
                    mininterval=every,
                    maxinterval=every,
                )
                bars.append(stack.enter_context(bar))
            bars[0].update(done - bars[0].n)

        yield report
