"""The ComfyUI that the command serves, if it serves one."""

import os
from pathlib import Path

from ...ip_adapter.errors import AdapterError

ENVIRONMENT = "COMFYUI_PATH"


class NoHostError(AdapterError):
    """The command has to know a ComfyUI or a folder, and was told neither."""


def host_folder(otherwise: str) -> Path:
    """The folder of the ComfyUI, which `run.py` put into the environment. Raises NoHostError with what else to do."""
    chosen = os.environ.get(ENVIRONMENT)
    if not chosen:
        raise NoHostError(
            f"Which ComfyUI? Set {ENVIRONMENT} to the folder that holds its main.py, or {otherwise}. (Inside a "
            "ComfyUI's custom_nodes this pack finds it by itself.)"
        )
    return Path(chosen).expanduser().absolute()
