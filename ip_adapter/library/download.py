"""Fetch a published file to where the host looks for it. Only ever on demand, and never half a file under its name."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ..files.stamps import sha256_of
from .catalog import CatalogEntry
from .transfer import AGAIN, SILENCE_SECONDS, CutError, DownloadError, Remote, Report, receive, received, refusal

ENDPOINT = "HF_ENDPOINT"
_ARCHIVES = "insightface"  # where face packs are looked for: models/insightface/models/<pack>


def folder_for(entry: CatalogEntry, models: Path) -> Path:
    """Where the host with this `models` folder looks for such a file."""
    return models / _ARCHIVES / "models" if entry.folder == _ARCHIVES else models / entry.folder


def is_there(entry: CatalogEntry, folder: Path) -> bool:
    """Whether the file is there and is the published one. Raises DownloadError if another stands under its name."""
    path = folder / entry.file
    if not path.exists():
        return False
    if entry.contents:
        absent = [name for name in entry.contents if not (path / name).is_file()]
        problem = f"it lacks {', '.join(absent)}" if absent else ""
    elif not path.is_file():
        problem = "it is no file"
    else:
        problem = _difference(entry, path)
    if problem:
        raise DownloadError(
            f"{path} is there already, but it is not the published {entry.name}: {problem}. It was left as it is. "
            "Rename or remove it, or choose another folder with --into."
        )
    return True


def fetch(entry: CatalogEntry, folder: Path, report: Report) -> Path:
    """Download `entry` into `folder` and return its path. What is there already and right is not fetched again.

    The file appears under its name only when size and sha256 are those published. Raises DownloadError; after one, and
    after KeyboardInterrupt, the next call goes on where this one stopped.
    """
    if is_there(entry, folder):
        return folder / entry.file
    part = folder / f"{PurePosixPath(urlsplit(entry.url).path).name if entry.contents else entry.file}.part"
    _make(folder)
    expected = _receive_all(entry, part, report)
    _check_digest(entry, part, expected)
    if entry.contents:
        _unpack(entry, part, folder / entry.file)
    else:
        os.replace(part, folder / entry.file)
    return folder / entry.file


def _difference(entry: CatalogEntry, path: Path) -> str:
    size = path.stat().st_size
    if entry.size is not None and size != entry.size:
        return f"it has {size} bytes and should have {entry.size}"
    if entry.sha256 is not None and sha256_of(path) != entry.sha256:
        return "its sha256 is another"
    return ""


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"{folder} cannot be made ({error}). Choose another folder with --into.") from error


def _receive_all(entry: CatalogEntry, part: Path, report: Report) -> str | None:
    """Receive, and reconnect as long as every attempt brings something. Returns the sha256 to expect, if known."""
    while True:
        remote, expected = _locate(entry)
        before = received(part)
        _check_space(part.parent, remote.size - before, entry.name)
        try:
            receive(remote, part, report)
        except CutError:
            if received(part) <= before:
                raise
        else:
            return expected


def _locate(entry: CatalogEntry) -> tuple[Remote, str | None]:
    """Ask where the file is and how large; for the hub, through its own library, with the user's token and endpoint."""
    if entry.hub is None:
        if entry.size is None:
            raise DownloadError(f"{entry.name} cannot be fetched: nobody published its size. Download it by hand.")
        return Remote(entry.url, entry.size), entry.sha256
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # else importing it asks for more than the file
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    repository, path = entry.hub
    url = hf_hub_url(repository, path, endpoint=os.environ.get(ENDPOINT) or None)
    headers = build_hf_headers()
    try:
        facts = get_hf_file_metadata(url, headers=headers, timeout=SILENCE_SECONDS)
    except Exception as error:  # the library under it, and so the classes, differ between versions
        answer = getattr(error, "response", None)
        if answer is not None:
            raise refusal(url, answer.status_code) from error
        raise CutError(f"{url} cannot be reached ({error}). Check the network. {AGAIN}") from error
    if urlsplit(facts.location).netloc != urlsplit(url).netloc:
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    return Remote(facts.location, _agreed_size(entry, facts.size), headers), _agreed_digest(entry, facts.etag)


def _agreed_size(entry: CatalogEntry, offered: int | None) -> int:
    if offered is None or entry.size not in (None, offered):
        raise DownloadError(
            f"{entry.url} should have {entry.size or 'a stated number of'} bytes and is offered with {offered}. It was "
            "not downloaded, since it is not the file that the catalogue knows."
        )
    return offered


def _agreed_digest(entry: CatalogEntry, etag: str | None) -> str | None:
    """The catalogue's, else the hub's own, which it gives as the etag of large files."""
    is_digest = etag is not None and len(etag) == 64
    if entry.sha256 and is_digest and etag != entry.sha256:
        raise DownloadError(
            f"{entry.url} should have the sha256 {entry.sha256} and is offered with {etag}. It was not downloaded, "
            "since it is not the file that the catalogue knows."
        )
    return entry.sha256 or (etag if is_digest else None)


def _check_space(folder: Path, needed: int, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{name} needs {needed / 1e9:.2f} GB more, and the disk of {folder} has {free / 1e9:.2f} GB free. Make "
            "room, or choose another folder with --into."
        )


def _check_digest(entry: CatalogEntry, part: Path, expected: str | None) -> None:
    found = sha256_of(part)
    if expected is not None and found != expected:
        part.unlink()
        raise DownloadError(
            f"{entry.name} arrived damaged: its sha256 is {found} and should be {expected}. The download was removed; "
            "give the same command again."
        )


def _unpack(entry: CatalogEntry, archive: Path, folder: Path) -> None:
    """Put the archive's known files, wherever they lie in it, side by side into `folder`. Nothing else is written."""
    with tempfile.TemporaryDirectory(prefix=f".{entry.file}-", dir=folder.parent) as scratch:
        unpacked = Path(scratch) / entry.file
        unpacked.mkdir()
        try:
            _extract(archive, entry.contents, unpacked)
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            raise DownloadError(
                f"{archive} cannot be unpacked ({error}). Make room or remove it, and try again."
            ) from error
        os.replace(unpacked, folder)
    archive.unlink()


def _extract(archive: Path, names: Iterable[str], folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        members = {PurePosixPath(member.filename).name: member for member in packed.infolist()}
        for name in names:
            with packed.open(members[name]) as source, (folder / name).open("wb") as sink:
                shutil.copyfileobj(source, sink)
