"""What tells one state of a file from another: cheaply by its size and time, surely by its hash."""

import hashlib
from pathlib import Path

_BLOCK = 1 << 20


def stamp(path: Path) -> tuple[str, int, int]:
    """Path, size in bytes and time of change in nanoseconds: changes when the file does."""
    facts = path.stat()
    return str(path), facts.st_size, facts.st_mtime_ns


def sha256_of(path: Path) -> str:
    """The hexadecimal digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
