"""Which picture belongs to which reference, by their names."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...models.shapes import Float
from ..errors import SettingError
from ..training.pictures import BROKEN, PICTURE_TYPES, Captioned, find_pictures, read_picture


@dataclass(frozen=True)
class EvalSample:
    """A picture that was made, the captioned reference it was made from, and how: the folder it lies in."""

    made: Path
    reference: Captioned
    setting: str = ""

    @property
    def name(self) -> str:
        return f"{self.setting}/{self.made.name}" if self.setting else self.made.name


def find_cases(made: Path, references: Path) -> list[EvalSample]:
    """Every picture of one folder with its reference in the other: `a.png`, `a_1.png` and `a_x.png` belong to `a`.

    Raises SettingError for a picture without a reference, and where there are no pictures.
    """
    known = {reference.path.stem: reference for reference in find_pictures(references)[0]}
    pictures = sorted(path for path in made.rglob("*") if path.suffix.lower() in PICTURE_TYPES)
    owners = [_owner(path.stem, known) for path in pictures]
    strangers = [path.name for path, owner in zip(pictures, owners, strict=True) if owner is None]
    if strangers or not pictures:
        raise SettingError(
            f"Expected pictures in {made} that are named like those in {references}, as a_1.png for a.png; "
            f"{', '.join(strangers[:5]) + ' fit none' if strangers else 'found none'}. Rename or remove them."
        )
    pairs = [(path, known[owner]) for path, owner in zip(pictures, owners, strict=True) if owner is not None]
    return [EvalSample(path, reference, _setting(path, made)) for path, reference in pairs]


def _setting(picture: Path, folder: Path) -> str:
    inner = picture.parent.relative_to(folder).as_posix()
    return "" if inner == "." else inner


def _owner(stem: str, known: dict[str, Captioned]) -> str | None:
    return max((name for name in known if stem == name or stem.startswith(f"{name}_")), key=len, default=None)


def read_case(file: Path) -> Float[Tensor, "1 3 height width"]:
    """A picture made or a reference, in [0, 1]. Raises SettingError for a file that cannot be read."""
    try:
        return read_picture(file)
    except BROKEN as error:
        raise SettingError(f"{file} cannot be read ({error}). Remove or replace it.") from error
