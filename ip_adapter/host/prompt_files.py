"""Image-prompt files in the host's output and input folders."""

from dataclasses import replace

from ..errors import AdapterFileError
from ..prompts.features import check_same_encoder
from ..prompts.negative import Negative
from ..prompts.prompt import ImagePrompt
from ..prompts.prompt_file import EXTENSIONS, load_prompt, save_prompt
from .saved_files import SavedFiles

FILES = SavedFiles("image_prompts", EXTENSIONS, "image prompt", AdapterFileError)
NO_FILE = "none"


def save(prompt: ImagePrompt, name: str) -> str:
    """Writes a numbered file into the host's output folder and gives its path."""
    path = FILES.new(name)
    save_prompt(prompt, path)
    return str(path)


def load(file: str, negative_file: str = NO_FILE) -> ImagePrompt:
    """The prompt of a listed file; the pictures of a second one stand on its negative side.

    Raises AdapterFileError for a file that is missing or unusable, WrongEncoderError for two of different encoders.
    """
    prompt = load_prompt(FILES.path(file))
    if negative_file == NO_FILE:
        return prompt
    against = load_prompt(FILES.path(negative_file))
    check_same_encoder([(prompt.positive, prompt.zero_picture), (against.positive, against.zero_picture)])
    return replace(prompt, negative=against.settled().positive, negative_kind=Negative.AUTO)
