"""Files that nodes write into a folder of the host's output and read back from it, or from its twin in the input."""

import os
from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ..errors import AdapterError
from ..files.stamps import stamp


@dataclass(frozen=True)
class SavedFiles:
    """A kind of file: its folder in output and input, its extensions, its name in messages, the error they raise."""

    folder: str
    extensions: tuple[str, ...]
    noun: str
    error: type[AdapterError]

    def new(self, name: str) -> Path:
        """Where the next file of this name goes, numbered. Raises the error for a name that leaves the folder."""
        folder = Path(folder_paths.get_output_directory(), self.folder)
        if not name.strip(" ./\\") or not _inside(folder, Path(folder, name)):
            raise self.error(f"Expected a file name below {folder}, got {name!r}. Leave out '..' and the drive.")
        where, stem, counter, _, _ = folder_paths.get_save_image_path(name, os.path.abspath(folder))
        return Path(where, f"{stem}_{counter:05}_.safetensors")

    def listed(self) -> list[str]:
        """Names of the files in both folders, for a combo."""
        return [
            f"{path.relative_to(folder).as_posix()} [{label}]"
            for label, folder in self._folders()
            for path in sorted(folder.rglob("*"))
            if path.suffix in self.extensions
        ]

    def path(self, file: str) -> Path:
        """The path of a listed file. Raises the error when it is not there."""
        path = self._find(file)
        if path is None:
            searched = ", ".join(str(folder) for _, folder in self._folders())
            raise self.error(
                f"There is no {self.noun} file {file!r}. Searched: {searched}. Put it there and refresh (R)."
            )
        return path

    def stamp(self, file: str) -> object:
        """What changes when the file behind a name does."""
        path = self._find(file)
        return path and stamp(path)

    def _folders(self) -> list[tuple[str, Path]]:
        bases = {"output": folder_paths.get_output_directory(), "input": folder_paths.get_input_directory()}
        return [(label, Path(base, self.folder)) for label, base in bases.items()]

    def _find(self, file: str) -> Path | None:
        for label, folder in self._folders():
            path = Path(folder, file.removesuffix(f" [{label}]"))
            if file.endswith(f" [{label}]") and _inside(folder, path) and path.is_file():
                return path
        return None


def _inside(folder: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
