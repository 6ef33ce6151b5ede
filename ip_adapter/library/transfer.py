"""One file over HTTP into a partial file, going on where an earlier attempt stopped."""

import errno
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO

from ..errors import AdapterError

Report = Callable[[int, int], None]  # bytes there, bytes in all
_BLOCK = 1 << 20
SILENCE_SECONDS = 30.0  # after which a connection counts as cut
AGAIN = "Give the same command again: it goes on where this one stopped."
_DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LOGIN = (
    "Its owner lets only known people have it (or it is gone). Accept its licence on its page while logged in, make a "
    "token at https://huggingface.co/settings/tokens and set HF_TOKEN to it."
)
_REFUSALS = {
    401: _LOGIN,
    403: _LOGIN,
    404: "It is not there any more. Look for it on the page of its owner, and tell us.",
    429: "Too many downloads from your address. Wait some minutes and give the same command again.",
}


class DownloadError(AdapterError):
    """A file could not be fetched; nothing stands under its final name."""


class CutError(DownloadError):
    """The connection ended before the file did; what came so far is kept."""


@dataclass(frozen=True)
class Remote:
    """Where a file can be had. Headers go to this address only, not to where it redirects."""

    url: str
    size: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def received(part: Path) -> int:
    """How many bytes of a partial file are there."""
    return part.stat().st_size if part.is_file() else 0


def receive(remote: Remote, part: Path, report: Report) -> None:
    """Bring `part` to the file's full size, asking only for what is missing.

    Raises CutError when the connection ends early, DownloadError when the server refuses or the disk is full.
    """
    if received(part) > remote.size:
        part.unlink()  # of something else
    there = received(part)
    report(there, remote.size)
    if there == remote.size:
        return
    try:
        with _ask(remote, there) as answer, part.open("ab" if _goes_on(answer, there) else "wb") as file:
            _copy(answer, file, remote.size, report)
    except OSError as error:
        raise DownloadError(_disk_problem(error, part)) from error
    if received(part) != remote.size:
        raise CutError(f"{remote.url} ended after {received(part)} of {remote.size} bytes. {AGAIN}")


def refusal(url: str, status: int) -> DownloadError:
    """The error for an answer that is not the file."""
    return DownloadError(f"{url} was refused with HTTP {status}. {_REFUSALS.get(status, 'Try again later.')}")


def _ask(remote: Remote, start: int) -> HTTPResponse:
    request = urllib.request.Request(remote.url)
    for name, value in remote.headers.items():
        request.add_unredirected_header(name, value)
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        return urllib.request.urlopen(request, timeout=SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        raise refusal(remote.url, error.code) from error
    except (OSError, HTTPException) as error:
        raise CutError(f"{remote.url} cannot be reached ({error}). Check the network. {AGAIN}") from error


def _goes_on(answer: HTTPResponse, start: int) -> bool:
    """Whether the server heeded the range; one that cannot sends the file from its beginning."""
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _copy(answer: HTTPResponse, file: IO[bytes], size: int, report: Report) -> None:
    while True:
        try:
            block = answer.read1(_BLOCK)
        except (OSError, HTTPException):
            return  # cut: the caller compares the sizes
        if not block:
            return
        file.write(block)
        report(file.tell(), size)


def _disk_problem(error: OSError, part: Path) -> str:
    if error.errno in _DISK_IS_FULL:
        return f"The disk of {part.parent} is full ({error.strerror}). Make room. {AGAIN}"
    return f"{part} cannot be written ({error}). Choose another folder with --into, or fix its permissions."
