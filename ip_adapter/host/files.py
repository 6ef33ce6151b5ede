"""The host's folder of adapter files."""

from pathlib import Path

import folder_paths

from ..adapter import Adapter
from ..errors import AdapterFileError
from ..files.checkpoint import EXTENSIONS
from ..files.stamps import stamp
from ..library import inventory as library
from ..library.inventory import summary
from .feedback import say

FOLDER = "ipadapter"


def register_folder() -> None:
    """Makes `models/ipadapter` known to the host, beside whatever paths other packs or the user have given it.

    As for the host's own kinds of files, what nodes save into the output folder is listed too.
    """
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir, FOLDER)))
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.get_output_directory(), FOLDER)))
    paths, extensions = folder_paths.folder_names_and_paths[FOLDER]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, set(extensions) | set(EXTENSIONS))


def adapter_files() -> list[str]:
    """Names of the files in every `ipadapter` folder, for a combo."""
    return folder_paths.get_filename_list(FOLDER)


def load_adapter(file: str, variant: str, node: str | None) -> Adapter:
    """The adapter of a listed file; the log and the node with this id say what it is and which rule decided.

    Raises AdapterFileError, NotAnAdapterError, or SettingError for a wrong variant.
    """
    adapter = library.load_adapter(adapter_path(file), variant)
    say(file, summary(adapter.spec), node)
    return adapter


def adapter_path(file: str) -> Path:
    """The full path of a listed file. Raises AdapterFileError when it is not there."""
    path = folder_paths.get_full_path(FOLDER, file)
    if path is None:
        searched = ", ".join(folder_paths.get_folder_paths(FOLDER))
        raise AdapterFileError(
            f"There is no adapter file {file!r}. Searched: {searched}. Put it there and refresh (R)."
        )
    return Path(path)


def file_stamp(file: str) -> tuple[str, int, int] | str:
    """What changes when the file behind a name does."""
    path = folder_paths.get_full_path(FOLDER, file)
    return "" if path is None else stamp(Path(path))
