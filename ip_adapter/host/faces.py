"""Face analysis with the host's folders, progress bar and cancel button."""

import os
from collections.abc import Sequence
from pathlib import Path

import folder_paths
from torch import Tensor

from ..errors import FaceError
from ..face import Faces
from ..face_analysis import Analysis, FaceChoice, analyse
from ..face_detection import FaceAnalyser
from ..face_file import EXTENSIONS, load_faces, save_faces
from ..face_onnx import available_providers, open_pack
from ..face_pack import AUTO, choose_pack, find_packs
from .progress import Progress

FOLDER = "insightface"
SAVED = "faces"  # the folder of face files in the host's output and input folders


def register_folder() -> None:
    """Makes `models/insightface` known to the host, so that extra model paths can add to it."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir, FOLDER)))


def packs() -> list[str]:
    """Names of the packs there are, for a combo."""
    return [AUTO, *find_packs(_roots())]


def providers() -> list[str]:
    """What face analysis can run on here, for a combo."""
    return [AUTO, *available_providers()]


def load_analysis(pack: str, provider: str) -> FaceAnalyser:
    """The detector and recogniser of a pack. Raises FaceError for anything that is missing or wrong."""
    return open_pack(choose_pack(pack, _roots()), provider)


def pack_stamp(pack: str) -> object:
    """What changes when the files of a pack do."""
    found = find_packs(_roots())
    chosen = found.values() if pack == AUTO else [found[pack]] if pack in found else []
    return [_stamp(path) for item in chosen for path in item.files]


def analyse_faces(
    analyser: FaceAnalyser, images: Sequence[Tensor], masks: Sequence[Tensor], choice: FaceChoice
) -> Analysis:
    """`face_analysis.analyse` with the host's progress bar; after each picture the user can cancel."""
    return analyse(analyser, images, masks, choice, Progress(sum(map(len, images))))


def save(faces: Faces, name: str) -> str:
    """Writes a numbered file into the host's output folder and gives its path. Raises FaceError for one outside."""
    folder = Path(folder_paths.get_output_directory(), SAVED)
    if not name.strip(" ./\\") or not _inside(folder, Path(folder, name)):
        raise FaceError(f"Expected a file name below {folder}, got {name!r}. Leave out '..' and the drive.")
    where, stem, counter, _, _ = folder_paths.get_save_image_path(name, os.path.abspath(folder))
    path = Path(where, f"{stem}_{counter:05}_.safetensors")
    save_faces(faces, path)
    return str(path)


def saved_files() -> list[str]:
    """Face files in the host's output and input folders, for a combo."""
    return [
        f"{path.relative_to(folder).as_posix()} [{label}]"
        for label, folder in _saved()
        for path in sorted(folder.rglob("*"))
        if path.suffix in EXTENSIONS
    ]


def load(file: str, images: Tensor | None) -> Faces:
    """The faces of a listed file. Raises FaceError when it is not there."""
    path = _listed(file)
    if path is None:
        searched = ", ".join(str(folder) for _, folder in _saved())
        raise FaceError(f"There is no face file {file!r}. Searched: {searched}. Put it there and refresh (R).")
    return load_faces(path, images)


def file_stamp(file: str) -> object:
    """What changes when the file behind a name does."""
    path = _listed(file)
    return path and _stamp(path)


def _roots() -> list[Path]:
    return [Path(path) for path in folder_paths.get_folder_paths(FOLDER)]


def _saved() -> list[tuple[str, Path]]:
    bases = {"output": folder_paths.get_output_directory(), "input": folder_paths.get_input_directory()}
    return [(label, Path(base, SAVED)) for label, base in bases.items()]


def _listed(file: str) -> Path | None:
    for label, folder in _saved():
        path = Path(folder, file.removesuffix(f" [{label}]"))
        if file.endswith(f" [{label}]") and _inside(folder, path) and path.is_file():
            return path
    return None


def _inside(folder: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _stamp(path: Path) -> tuple[str, int, int]:
    facts = path.stat()
    return str(path), facts.st_size, facts.st_mtime_ns
