"""A pack of face models on the disk."""

from dataclasses import dataclass
from pathlib import Path

AUTO = "auto"


@dataclass(frozen=True)
class Pack:
    """A folder with ONNX files directly in it."""

    name: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        # In the published packs the two files that are needed are the last, so that the others are never loaded.
        return [path for path in sorted(self.folder.glob("*.onnx"), reverse=True) if not path.name.startswith(".")]
