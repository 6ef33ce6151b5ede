"""WebDataset shards: pictures and captions side by side in tar files, read from there whenever they come up."""

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path

from torch import Tensor

from ..errors import TrainingError
from .pictures import PICTURE_TYPES, DatasetReport, Picture, read_picture

SHARD = ".tar"
_CAPTIONS = ("text", "caption")  # the names under which a sample's .json may hold its caption


@dataclass(frozen=True)
class ShardPicture:
    """A picture in a tar file, from byte `start` on."""

    shard: Path
    written: int  # when, in nanoseconds
    name: str
    start: int
    size: int
    caption: str

    @property
    def stamp(self) -> object:
        return self.shard.name, self.written, self.name, self.start, self.size, self.caption

    def read(self) -> Tensor:
        with self.shard.open("rb") as file:
            file.seek(self.start)
            return read_picture(BytesIO(file.read(self.size)))


@dataclass
class _Sample:
    """The files of a shard that belong together."""

    picture: tarfile.TarInfo | None = None
    caption: str | None = None


def find_in_shards(shards: Sequence[Path]) -> tuple[list[Picture], DatasetReport]:
    """Every picture in the shards, in their order; only names, places and captions are read.

    A caption is the sample's .txt, or "text" or "caption" of its .json. Raises TrainingError for what is no plain tar
    file; a compressed one has no places to read from.
    """
    account, found = DatasetReport(), list[Picture]()
    for shard in shards:
        written = shard.stat().st_mtime_ns
        for key, members in groupby(_members(shard), lambda member: _key(member[0])):
            name, sample = f"{shard.name}/{key}", _sample(members)
            if sample.picture is None:
                account.without_picture.append(name)
                continue
            if sample.caption is None:
                account.without_caption.append(name)
            place = sample.picture.offset_data, sample.picture.size
            found.append(ShardPicture(shard, written, name, *place, sample.caption or ""))
    return found, account


def _members(shard: Path) -> Iterator[tuple[tarfile.TarInfo, str | None]]:
    """The files in a shard, and what those that may hold a caption hold."""
    try:
        with tarfile.open(shard, "r:") as file:
            for member in filter(tarfile.TarInfo.isfile, file):
                opened = file.extractfile(member) if member.name.lower().endswith(tuple(_READ)) else None
                yield member, None if opened is None else opened.read().decode("utf-8", "replace")
    except (OSError, tarfile.TarError) as error:
        raise TrainingError(
            f"{shard} is no tar file that can be read ({error}). Copy it again, or unpack it if it is compressed."
        ) from error


def _key(member: tarfile.TarInfo) -> str:
    """Files of one sample have one path up to the first dot of the name."""
    folder, slash, name = member.name.rpartition("/")
    return folder + slash + name.partition(".")[0]


def _sample(members: Iterable[tuple[tarfile.TarInfo, str | None]]) -> _Sample:
    sample = _Sample()
    for member, text in members:
        ending = Path(member.name).suffix.lower()
        if ending in PICTURE_TYPES:
            sample.picture = member
        if text is not None:
            caption = _READ[ending](text)
            sample.caption = sample.caption if caption is None else caption
    return sample


def _of_json(text: str) -> str | None:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    values = [content.get(name) for name in _CAPTIONS] if isinstance(content, dict) else []
    return next((value for value in values if isinstance(value, str)), None)


_READ: dict[str, Callable[[str], str | None]] = {".txt": str.strip, ".json": _of_json}
