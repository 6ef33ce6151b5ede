"""Pictures with captions: what they are to training, those of a folder, and how they are shown to the models."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import torch
from torch import Tensor

from ...models.shapes import Float
from ..errors import TrainingError
from ..prompts.preprocess import Fit, fitted

PICTURE_TYPES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
METADATA = "metadata.jsonl"  # one {"file_name": ..., "text": ...} a line, as Hugging Face's image folders have it
BROKEN = (OSError, ValueError, SyntaxError)  # what Pillow raises for pictures that are none
_SHOWN = 5  # names of each kind in the account


class Picture(Protocol):
    """A picture with its caption, wherever it lies."""

    @property
    def name(self) -> str:
        """What people are told it is called."""
        ...

    @property
    def caption(self) -> str:
        """Empty where there is none."""
        ...

    @property
    def stamp(self) -> object:
        """Changes when the picture or its caption does."""
        ...

    def read(self) -> Float[Tensor, "1 3 height width"]:
        """In RGB, upright, in [0, 1]. Raises one of BROKEN for a picture that cannot be read."""
        ...


@dataclass(frozen=True)
class Captioned:
    """A picture in a file of its own."""

    path: Path
    caption: str

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def stamp(self) -> object:
        facts = self.path.stat()
        return self.path.name, facts.st_size, facts.st_mtime_ns, self.caption

    def read(self) -> Tensor:
        return read_picture(self.path)


@dataclass
class DatasetReport:
    """What of the data was used, and what not and why; told at the end."""

    used: int = 0
    broken: dict[str, str] = field(default_factory=dict[str, str])  # picture -> why it cannot be read
    without_face: dict[str, str] = field(default_factory=dict[str, str])  # the same, where the adapter reads faces
    without_picture: list[str] = field(default_factory=list[str])  # captions
    without_caption: list[str] = field(default_factory=list[str])  # pictures, which are trained with an empty text

    def __str__(self) -> str:
        faceless = [_counted(f"{len(self.without_face)} without a face skipped", self.without_face)]
        parts = [
            f"{self.used} pictures used",
            _counted(f"{len(self.broken)} broken and skipped", self.broken),
            *(faceless if self.without_face else ()),
            _counted(f"{len(self.without_picture)} captions without a picture skipped", self.without_picture),
            _counted(f"{len(self.without_caption)} pictures without a caption used", self.without_caption),
        ]
        return "; ".join(parts)


def _counted(what: str, names: Mapping[str, str] | list[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{what} ({', '.join(list(names)[:_SHOWN])}{more})" if names else what


def find_pictures(folder: Path) -> tuple[list[Captioned], DatasetReport]:
    """Every picture in the folder and below it, in the order of their names, with what does not fit together.

    A caption is the text of the .txt file of the same name, or else of the picture's line in metadata.jsonl. Raises
    TrainingError when the folder cannot be read or a line of the metadata is not as it should be.
    """
    account = DatasetReport()
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        captions = dict(_metadata(folder)) | dict(_texts(files))
    except OSError as error:
        raise TrainingError(f"{folder} cannot be read ({error}). Check the folder and its permissions.") from error
    pictures = [path for path in files if path.suffix.lower() in PICTURE_TYPES]
    stems = {path.with_suffix(""): path for path in pictures}
    account.without_picture = [
        str(key.relative_to(folder)) for key in captions if key not in stems and not key.is_file()
    ]
    found: list[Captioned] = []
    for path in pictures:
        caption = captions.get(path.with_suffix(""), captions.get(path))
        if caption is None:
            account.without_caption.append(str(path.relative_to(folder)))
        found.append(Captioned(path, caption or ""))
    return found, account


def _texts(files: list[Path]) -> Iterator[tuple[Path, str]]:
    for path in files:
        if path.suffix.lower() == ".txt":
            yield path.with_suffix(""), path.read_text(encoding="utf-8", errors="replace").strip()


def _metadata(folder: Path) -> Iterator[tuple[Path, str]]:
    file = folder / METADATA
    if not file.is_file():
        return
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            yield folder / str(entry["file_name"]), str(entry["text"])
        except (ValueError, TypeError, KeyError) as error:
            raise TrainingError(
                f'{file}, line {number}: expected {{"file_name": "...", "text": "..."}}, got {line[:60]!r}. Correct it.'
            ) from error


def read_picture(source: Path | BinaryIO) -> Float[Tensor, "1 3 height width"]:
    """The picture in RGB, upright, in [0, 1]. Raises one of BROKEN for a picture that cannot be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(source) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return values.reshape(1, picture.height, picture.width, 3).movedim(-1, 1).float() / 255


def save_picture(picture: Float[Tensor, "3 height width"], file: Path) -> None:
    """Writes a picture in [0, 1] as PNG, whatever the file's name."""
    from PIL import Image

    pixels = (picture.movedim(0, -1) * 255).round().byte().contiguous()
    Image.frombytes("RGB", (pixels.shape[1], pixels.shape[0]), bytes(pixels.flatten().tolist())).save(file, "PNG")


def centre_crop(picture: Tensor, size: int) -> Float[Tensor, "1 3 size size"]:
    """The middle of the picture after its shorter side has been scaled to `size`, as the paper prepares pictures."""
    return fitted(picture, size, Fit.CROP)
