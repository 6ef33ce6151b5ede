"""Where pictures with captions come from: a folder of files, tar shards, or a data set of rows."""

from collections.abc import Sequence
from pathlib import Path

from .hf_dataset import PARQUET, SAVED, find_in_rows
from .pictures import DatasetReport, Picture, find_pictures
from .shards import SHARD, find_in_shards

FILES = (SHARD, PARQUET)  # which may stand for themselves in place of a folder


def find_data(place: Path, cache: Path) -> tuple[Sequence[Picture], DatasetReport]:
    """Every picture of a folder, or of one file of FILES, with what does not fit together.

    A folder that holds tar files, Parquet files or a saved data set is taken for that. `cache` is a folder for copies
    that a library makes. Raises TrainingError for what cannot be read.
    """
    shards = [place] if place.suffix == SHARD else sorted(place.rglob(f"*{SHARD}"))
    if shards:
        return find_in_shards(shards)
    if place.suffix == PARQUET or (place / SAVED).is_file() or next(place.rglob(f"*{PARQUET}"), None) is not None:
        return find_in_rows(place, cache)
    return find_pictures(place)
