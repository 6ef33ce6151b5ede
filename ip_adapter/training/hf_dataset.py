"""Data sets of Hugging Face's `datasets`: pictures and captions in the rows of Parquet or Arrow files."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, overload

from torch import Tensor

from ..errors import TrainingError
from .pictures import DatasetReport, Picture, read_picture

PARQUET = ".parquet"
SAVED = "dataset_info.json"  # what `save_to_disk` writes beside its Arrow files
_CAPTIONS = ("text", "caption")


@dataclass(frozen=True, eq=False)
class Rows(Sequence[Picture]):
    """A data set whose column `picture` holds encoded pictures; `caption` is None where there is no such column."""

    table: Any
    picture: str
    caption: str | None

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        if isinstance(index, slice):
            return [RowPicture(self, number) for number in range(*index.indices(len(self)))]
        return RowPicture(self, range(len(self))[index])


@dataclass(frozen=True, eq=False)
class RowPicture:
    """One row."""

    rows: Rows
    number: int

    @property
    def name(self) -> str:
        return f"row {self.number}"

    @property
    def caption(self) -> str:
        column = self.rows.caption
        return "" if column is None else self.rows.table.select_columns([column])[self.number][column] or ""

    @property
    def stamp(self) -> object:
        return self.rows.table._fingerprint, self.number  # pyright: ignore[reportPrivateUsage]

    def read(self) -> Tensor:
        value = self.rows.table.select_columns([self.rows.picture])[self.number][self.rows.picture]
        if not value or not (value.get("bytes") or value.get("path")):
            raise ValueError("the row is empty")
        return read_picture(BytesIO(value["bytes"]) if value.get("bytes") else Path(value["path"]))


def find_in_rows(place: Path, cache: Path) -> tuple[Rows, DatasetReport]:
    """The rows of a folder that `save_to_disk` wrote, or of one or more Parquet files; those are copied to `cache`.

    Raises TrainingError without the library, for files it cannot read, and where no column holds pictures.
    """
    try:
        import datasets
        from datasets.exceptions import DatasetsError
    except ImportError as error:
        raise TrainingError("Parquet and Arrow files need datasets. Install it: pip install datasets.") from error
    files = [place] if place.is_file() else sorted(place.rglob(f"*{PARQUET}"))
    try:
        if (place / SAVED).is_file():
            table: Any = datasets.load_from_disk(str(place))
        else:
            table = datasets.Dataset.from_parquet([str(file) for file in files], cache_dir=str(cache))
    except (OSError, ValueError, DatasetsError) as error:
        raise TrainingError(f"{place} cannot be read as a data set ({error}). Check its files.") from error
    return _with_columns(place, table, datasets.Image)


def _with_columns(place: Path, table: Any, image: Any) -> tuple[Rows, DatasetReport]:
    pictures = [name for name, feature in table.features.items() if isinstance(feature, image)]
    if not pictures:
        raise TrainingError(
            f"Expected a column of pictures in {place}, found {', '.join(table.column_names)}. Cast one to "
            "datasets.Image, and save it again."
        )
    caption = next((name for name in _CAPTIONS if name in table.column_names), None)
    # Decoding is ours, so that a broken picture is met when it comes up and costs only itself.
    rows, account = Rows(table.cast_column(pictures[0], image(decode=False)), pictures[0], caption), DatasetReport()
    texts = [None] * len(rows) if caption is None else table.select_columns([caption])[caption]
    account.without_caption = [f"row {number}" for number, text in enumerate(texts) if not text]
    return rows, account
