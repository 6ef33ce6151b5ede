"""Face analysis with the host's folders, progress bar and cancel button."""

from collections.abc import Sequence
from pathlib import Path

import folder_paths
from torch import Tensor

from ..errors import FaceError
from ..faces.analysis import FaceAnalysisOptions, analyse
from ..faces.detection import FaceAnalyser
from ..faces.face import Faces
from ..faces.file import EXTENSIONS, load_faces, save_faces
from ..faces.onnx import available_providers, open_pack
from ..faces.pack import AUTO
from ..files.stamps import stamp
from ..library.face_packs import choose_pack, find_packs
from .feedback import Progress
from .images import ImageRows, as_image, as_pictures
from .saved_files import SavedFiles

FOLDER = "insightface"
SAVED = SavedFiles("faces", EXTENSIONS, "face", FaceError)


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
    return [stamp(path) for item in chosen for path in item.files]


def analyse_faces(
    analyser: FaceAnalyser, images: Sequence[Tensor], masks: Sequence[Tensor], options: FaceAnalysisOptions
) -> tuple[Faces, Tensor, list[Tensor], str]:
    """The chosen faces of host IMAGEs, their crops, the pictures with all faces drawn, and a line for each picture.

    After each picture the user can cancel. Raises what `analyse` raises.
    """
    rows = [ImageRows(image) for image in images]
    found = analyse(analyser, rows, masks, options, Progress(sum(map(len, rows))))
    crops = as_image(found.faces.crops)
    return found.faces, crops, [as_image(drawn) for drawn in found.drawn], found.report


def save(faces: Faces, name: str) -> str:
    """Writes a numbered file into the host's output folder and gives its path. Raises FaceError for one outside."""
    path = SAVED.new(name)
    save_faces(faces, path)
    return str(path)


def load(file: str, images: Tensor | None) -> Faces:
    """The faces of a listed file. Raises FaceError when it is not there."""
    return load_faces(SAVED.path(file), None if images is None else as_pictures(images).cpu())


def _roots() -> list[Path]:
    return [Path(path) for path in folder_paths.get_folder_paths(FOLDER)]
