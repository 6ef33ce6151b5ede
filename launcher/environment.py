"""Our own Python environment in the cache: built once, in stages, for everybody who needs the same one."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import LauncherError
from .lock import locked
from .pip_report import PipReport
from .process import CommandFailedError, run_quietly
from .status import Status, Stopwatch

PIP = "pip==26.3"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
NEWEST_TRIED = (3, 13)


@dataclass(frozen=True)
class Stage:
    """One call of pip, done once per environment; a marker file remembers it."""

    name: str
    purpose: str
    arguments: tuple[str, ...]
    options: tuple[str, ...] = ()


PIP_STAGE = Stage("pip", "pip itself", ("--upgrade", PIP))
TORCH_STAGE = Stage("torch", "PyTorch (the largest download, up to 3 GB on Linux)", ("torch.txt",))
HOST_STAGE = Stage("host", "what ComfyUI needs", ("host.txt",))
CHECKS_STAGE = Stage("checks", "what the checks need", ("checks.txt",))
# Their own lists ask for an OpenCV with windows, which needs a graphics library that servers lack.
FACES_STAGE = Stage("faces", "what the checks of faces are compared with", ("faces.txt",), ("--no-deps",))

TO_RUN = (PIP_STAGE, TORCH_STAGE, HOST_STAGE)
TO_CHECK = (*TO_RUN, CHECKS_STAGE, FACES_STAGE)


def environment_key(requirements: Path = REQUIREMENTS) -> str:
    """A name for the environment: two environments share it exactly if the same things went into both."""
    parts = [PIP, platform.python_implementation(), platform.python_version(), sys.platform, platform.machine()]
    # Line by line, so that a checkout with Windows line endings gets the same key.
    parts += [line for path in sorted(requirements.glob("*.txt")) for line in path.read_text("utf-8").splitlines()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"python{sys.version_info.major}.{sys.version_info.minor}-{digest[:12]}"


def ensure_environment(cache: Path, stages: Sequence[Stage], status: Status) -> str:
    """The path of an interpreter in which `stages` are installed, building what is missing.

    Runs that come in parallel wait for each other; an interrupted build goes on where it stopped.
    """
    _check_version()
    folder = cache / "environments" / environment_key()
    if not _missing(folder, stages):
        return str(interpreter(folder))
    watch, label = Stopwatch(), "waiting for another run that is making the environment"
    with locked(folder.with_name(f"{folder.name}.lock"), lambda: status.show(f"{label}: {watch}")):
        _build(folder, _missing(folder, stages), status)
    return str(interpreter(folder))


def interpreter(folder: Path) -> Path:
    """Where the environment at `folder` has its Python."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def marker(folder: Path, stage: Stage) -> Path:
    """The file that says that a stage is done."""
    return folder / f"{stage.name}.done"


def _missing(folder: Path, stages: Sequence[Stage]) -> list[Stage]:
    """The stages still to do: all of them where the environment's Python does not even start."""
    todo = [stage for stage in stages if not marker(folder, stage).is_file()]
    return todo if len(todo) == len(stages) or _starts(interpreter(folder)) else list(stages)


def _starts(python: Path) -> bool:
    """False for an environment that is not there, or whose base Python has been removed since."""
    try:
        return subprocess.run([str(python), "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _build(folder: Path, stages: Sequence[Stage], status: Status) -> None:
    if not stages:
        return  # another run made it while this one waited
    watch = Stopwatch()
    status.say(f"Making a Python environment in {folder}")
    status.say("  Once only. Interrupt it when you like: the next run goes on where this one stopped.")
    if not _starts(interpreter(folder)):
        _create(folder, status)
    for stage in stages:
        _install(folder, stage, status)
    status.say(f"  Environment ready after {watch}.")


def _create(folder: Path, status: Status) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        run_quietly([sys.executable, "-m", "venv", str(folder)], _log(folder), status, "creating the environment")
    except CommandFailedError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise LauncherError(
            f"Creating a virtual environment with {sys.executable}: {error}\n"
            "On Debian and Ubuntu install the package python3-venv; elsewhere try a Python from python.org."
        ) from error


def _install(folder: Path, stage: Stage, status: Status) -> None:
    watch = Stopwatch()
    status.say(f"  Installing {stage.purpose} ...")
    command = [str(interpreter(folder)), "-m", "pip", "install", *_pip_options(stage)]
    try:
        run_quietly(command, _log(folder), status, f"  {stage.name}", PipReport())
    except CommandFailedError as error:
        raise LauncherError(
            f"Installing {stage.purpose} with pip: {error}\n"
            f"All of pip's output is in {_log(folder)}. If the network failed, run the same command again: it goes on "
            "where it stopped. If there is no PyTorch for this machine, set COMFYUI_PATH to a ComfyUI that works here "
            "and run this with its Python."
        ) from error
    marker(folder, stage).touch()
    status.say(f"  Installed {stage.purpose.split(' (')[0]} in {watch}.")


def _pip_options(stage: Stage) -> list[str]:
    if stage is PIP_STAGE:  # the pip that comes with Python may be too old for the options below
        return ["--no-input", *stage.arguments]
    lists = [option for name in stage.arguments for option in ("-r", str(REQUIREMENTS / name))]
    # The constraint keeps later stages from exchanging torch.
    constraint = ("--constraint", str(REQUIREMENTS / "torch.txt"))
    return ["--no-input", "--progress-bar", "raw", *stage.options, *constraint, *lists]


def _log(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.log")


def _check_version() -> None:
    if sys.version_info[:2] > NEWEST_TRIED:
        raise LauncherError(
            f"Making an environment with Python {platform.python_version()}: the pinned packages are known to work "
            "with Python 3.10 to 3.13. Start run.py with one of those, or set COMFYUI_PATH to your own ComfyUI."
        )
