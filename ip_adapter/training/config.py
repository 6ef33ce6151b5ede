"""How an adapter is trained: one value, read from a TOML file, kept in the file of the adapter that comes out."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

from ...models.facts import Kind
from ..errors import SettingError
from .drops import Drops
from .kinds import reads
from .loss import Weighting
from .sources import FILES

CELL = 64  # pixels that the side of a picture must be a multiple of, for the steps of every UNet


class Precision(str, Enum):
    """The numbers that the base computes in; what is trained stays float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class FeatureCaching(str, Enum):
    """When pictures and captions are encoded."""

    CACHED = "cached"  # once, into a folder beside the result, as float16
    ON_THE_FLY = "on the fly"  # whenever they come up, for sets that would not fit on the disk


class Tracker(str, Enum):
    """Who else is told of the losses; they are written as CSV and PNG in any case."""

    NONE = "none"
    TENSORBOARD = "tensorboard"


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training; the defaults are the paper's (section 4.1). Raises SettingError for a wrong one.

    `steps` and all `every` count steps of the optimiser, of `batch * accumulation` samples in every process.
    """

    base: Path  # a checkpoint with UNet, text encoder and autoencoder
    data: Path  # pictures with captions: a folder, tar shards, or Parquet files
    output: Path  # a folder for the adapter, the curve, and what a stopped training resumes from
    steps: int
    image_encoder: Path | None = None  # a CLIP vision model, for every kind that reads one
    face_models: Path | None = None  # a folder with a face detector and a recogniser, for kinds that read faces
    start: Path | None = None  # an adapter of this kind to go on from, in place of a random projector
    kind: Kind = Kind.STANDARD
    tokens: int = 0  # 0 is the number of the published adapter of this kind
    lora_rank: int | None = None  # None is that of `start`, or of the published adapter of this kind; 0 trains none
    resolution: int = 512
    batch: int = 8
    accumulation: int = 1
    learning_rate: float = 1e-4
    warmup_steps: int = 0
    weight_decay: float = 0.01
    largest_gradient: float = 0.0  # longer ones are shortened to it; 0 leaves all as they are
    drop_picture: float = 0.05
    drop_text: float = 0.05
    drop_both: float = 0.05
    min_snr: float = 0.0  # the gamma of min-SNR weighting; 0 weights all timesteps alike
    ema: float = 0.0  # how much of the moving average a step leaves; 0 keeps none
    precision: Precision = Precision.FLOAT32
    recompute: bool = False  # activations of transformer blocks: less memory, a third more time
    features: FeatureCaching = FeatureCaching.CACHED
    held_out: int = 0  # pictures that are not trained on but measured
    seed: int = 0
    save_every: int = 500  # at most so many steps are lost when the machine fails
    log_every: int = 10
    measure_every: int = 500
    draw_every: int = 0  # held-out pictures are drawn after so many steps; 0 draws none
    result: Precision = Precision.FLOAT16  # of the numbers in the adapter's file
    tracker: Tracker = Tracker.NONE
    custom_nodes: tuple[Path, ...] = ()  # packs that the host needs to know this base

    def __post_init__(self) -> None:
        for names, (rule, holds) in _RULES.items():
            for name in names:
                if not holds(getattr(self, name)):
                    raise SettingError(f"Expected {name} to be {rule}, got {getattr(self, name)}. Correct it.")
        for name, wanted in (("image_encoder", reads(self.kind).stage), ("face_models", reads(self.kind).face)):
            if wanted is not None and getattr(self, name) is None:
                raise SettingError(f"Expected {name}, which adapters of kind {self.kind.value} read through. Add it.")
        if self.lora_rank and reads(self.kind).face is None:
            raise SettingError(f"Expected lora_rank 0 for kind {self.kind.value}: only readers of faces apply a LoRA.")
        if self.draw_every and not self.held_out:
            raise SettingError("Expected held_out to be at least 1 where draw_every is: those pictures are drawn.")
        Drops(self.drop_picture, self.drop_text, self.drop_both)

    @property
    def weighting(self) -> Weighting:
        drops = Drops(self.drop_picture, self.drop_text, self.drop_both)
        return Weighting(drops, self.min_snr or None)

    def recipe(self) -> str:
        """All of it as JSON, with the names of files and folders but not where they lie."""
        return json.dumps({name: _plain(value) for name, value in asdict(self).items()})

    @classmethod
    def read(cls, file: Path) -> "TrainingConfig":
        """The settings in a TOML file; paths in it are relative to it. Raises SettingError for all that is wrong."""
        given = _read_toml(file)
        known = {entry.name: entry for entry in fields(cls)}
        for name in given:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
                raise SettingError(f"{file.name}: there is no setting {name!r}. {hint}")
        missing = [entry.name for entry in known.values() if entry.default is MISSING and entry.name not in given]
        if missing:
            raise SettingError(f"{file.name}: expected {', '.join(missing)}, which no default can stand for. Add it.")
        values = {name: _value(known[name], value, file) for name, value in given.items()}
        config = cls(**values)
        config.check_files()
        return config

    def check_files(self) -> None:
        """Raises SettingError for a file or folder that is not there."""
        names = ("base", "image_encoder", "face_models", "start")
        named = {name: (getattr(self, name),) for name in names} | {"custom_nodes": self.custom_nodes}
        for name, paths in named.items():
            for path in paths:
                if path is not None and not path.exists():
                    raise SettingError(f"Expected {name} to be there, but {path} is not. Correct the path.")
        if not self.data.is_dir() and not (self.data.is_file() and self.data.suffix in FILES):
            raise SettingError(
                f"Expected data to be a folder of pictures, or a file of {' or '.join(FILES)}, but {self.data} is "
                "none. Correct the path."
            )


Rule = tuple[str, Callable[[Any], bool]]
_RULES: Mapping[tuple[str, ...], Rule] = {
    ("steps", "batch", "accumulation", "save_every", "log_every", "measure_every"): (
        "at least 1",
        lambda value: value >= 1,
    ),
    ("tokens", "warmup_steps", "held_out", "draw_every", "seed", "min_snr", "weight_decay", "largest_gradient"): (
        "0 or more",
        lambda value: 0 <= value < float("inf"),
    ),
    ("lora_rank",): ("0 or more", lambda value: value is None or value >= 0),
    ("learning_rate",): ("above 0 and at most 1", lambda value: 0 < value <= 1),
    ("ema",): ("at least 0 and below 1", lambda value: 0 <= value < 1),
    ("resolution",): (f"a multiple of {CELL}", lambda value: value > 0 and value % CELL == 0),
}


def _read_toml(file: Path) -> dict[str, Any]:
    if sys.version_info < (3, 11):
        try:
            import tomli as tomllib
        except ImportError as error:
            raise SettingError("Python before 3.11 reads no TOML. Install tomli, or use a newer Python.") from error
    else:
        import tomllib
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{file} cannot be read ({error}). Name the TOML file with the settings.") from error
    except ValueError as error:
        raise SettingError(f"{file.name} is no TOML file ({error}). Correct it there.") from error


def _value(entry: "Field[Any]", value: Any, file: Path) -> Any:
    """The TOML value as the type of its setting."""
    wanted: Any = entry.type
    what, convert = _CONVERSIONS.get(wanted, ("", None))
    if convert is None:
        names = [str(member.value) for member in wanted]
        what, convert = f"one of {', '.join(names)}", lambda given, _: wanted(given) if given in names else None
    converted = convert(value, file.parent)
    if converted is None:
        raise SettingError(f"{file.name}: expected {entry.name} to be {what}, got {value!r}. Correct it.")
    return converted


def _path(value: Any, folder: Path) -> Path | None:
    return folder / Path(value).expanduser() if isinstance(value, str) else None


def _paths(value: Any, folder: Path) -> tuple[Path, ...] | None:
    paths = [_path(part, folder) for part in value] if isinstance(value, list) else [None]
    return None if None in paths else tuple(path for path in paths if path is not None)


def _whole(value: Any, _: Path) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any, _: Path) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


_CONVERSIONS: Mapping[Any, tuple[str, Callable[[Any, Path], Any]]] = {
    Path: ("a path in quotes", _path),
    Path | None: ("a path in quotes", _path),
    tuple[Path, ...]: ("a list of paths in quotes", _paths),
    int: ("a whole number", _whole),
    int | None: ("a whole number", _whole),
    float: ("a number", _number),
    bool: ("true or false", lambda value, _: value if isinstance(value, bool) else None),
}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value.value if isinstance(value, Enum) else value
