"""A ComfyUI base directory for one run: this pack and the demonstration family linked in, removed afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from .demo_workflows import make_room
from .lock import Lock, locked

# Link name in the server's custom_nodes -> folder below the pack's root.
CUSTOM_NODES = {"ip-adapter-nodes": ".", "ip-adapter-demo": "demo"}
# File below the pack's root -> model folder of the server.
DEMO_WEIGHTS = {
    "demo/weights/demo_checkpoint.safetensors": "checkpoints",
    "demo/weights/demo_clip_vision.safetensors": "clip_vision",
    "demo/weights/demo_ip_adapter.safetensors": "ipadapter",
    "demo/weights/demo_ip_adapter_plus.safetensors": "ipadapter",
    "demo/weights/demo_controlnet.safetensors": "controlnet",
    "demo/weights/demo_t2i_adapter.safetensors": "controlnet",
    "demo/weights/demo_faceid.safetensors": "ipadapter",
    "demo/weights/insightface/models/demo/demo_detector.onnx": "insightface/models/demo",
    "demo/weights/insightface/models/demo/demo_recogniser.onnx": "insightface/models/demo",
    "demo/weights/demo_lora.safetensors": "loras",
    "demo/weights/demo_sibling.safetensors": "loras",
}
PICTURES = "demo/pictures"
PICTURE_TYPES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
EMPTY_FOLDERS = ("custom_nodes", "input", "output", "temp", "user")
IN_USE = "in-use.lock"  # held while a run lives, so that the next one can tell what a crash left behind


def missing_weights(root: Path) -> list[str]:
    """The demonstration family's files that are not there, as paths below the root."""
    return [path for path in DEMO_WEIGHTS if not (root / path).is_file()]


@contextmanager
def base_directory(root: Path, runs: Path) -> Generator[Path, None, None]:
    """A fresh folder below `runs` for `--base-directory`, with the pack at `root` linked in. Runs never share one.

    Weights that are missing are left out (see `missing_weights`).
    """
    runs.mkdir(parents=True, exist_ok=True)
    with locked(runs / "runs.lock"):  # else another run could take the new folder for an abandoned one
        remove_abandoned(runs)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=runs))
        lock = Lock(folder / IN_USE)
        lock.acquire()
    try:
        fill(folder, root)
        yield folder
    finally:
        lock.release()
        remove(folder)


def fill(folder: Path, root: Path) -> None:
    """Make the folders and links that the server expects in `folder`."""
    for name in EMPTY_FOLDERS:
        (folder / name).mkdir(exist_ok=True)
    for name, source in CUSTOM_NODES.items():
        if (root / source / "__init__.py").is_file():
            link_folder(folder / "custom_nodes" / name, root / source)
    make_room(folder)
    for source, kind in DEMO_WEIGHTS.items():
        models = folder / "models" / kind
        models.mkdir(parents=True, exist_ok=True)
        if (root / source).is_file():
            link_file(models / Path(source).name, root / source)
    for picture in sorted((root / PICTURES).glob("*")):
        if picture.suffix.lower() in PICTURE_TYPES:
            # A copy, because newer hosts refuse inputs whose real path lies elsewhere.
            shutil.copyfile(picture, folder / "input" / picture.name)
        elif picture.is_dir():  # pictures to train on, with their captions
            shutil.copytree(picture, folder / "input" / picture.name, dirs_exist_ok=True)


def link_folder(link: Path, target: Path) -> None:
    """Make `link` show the folder `target`: a symbolic link, on Windows without that right a junction, else a copy."""
    with suppress(OSError):
        link.symlink_to(target.resolve(), target_is_directory=True)
        return
    if sys.platform == "win32":
        command = ["cmd", "/c", "mklink", "/J", str(link), str(target.resolve())]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
    shutil.copytree(target, link, ignore=shutil.ignore_patterns(".git", "__pycache__"))


def link_file(link: Path, target: Path) -> None:
    """Make `link` show the file `target`: a symbolic link, else a copy."""
    try:
        link.symlink_to(target.resolve())
    except OSError:
        shutil.copyfile(target, link)


def remove(folder: Path) -> None:
    """Delete a run's folder and none of what its links point at."""
    links = folder / "custom_nodes"
    for link in links.iterdir() if links.is_dir() else ():
        if link.is_symlink():
            link.unlink()
        elif sys.platform == "win32":
            with suppress(OSError):
                os.rmdir(link)  # removes a junction; a copied folder is not empty and stays for the next line
    # Windows may still hold a file for a moment; `remove_abandoned` of the next run takes the rest.
    shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(runs: Path) -> None:
    """Delete the folders of runs that ended without cleaning up."""
    for folder in runs.glob("run-*"):
        lock = Lock(folder / IN_USE)
        if lock.try_acquire():
            lock.release()
            remove(folder)
