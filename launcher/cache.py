"""Where everything lives that the launcher makes: one folder of the user, never the checkout."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import LauncherError

VARIABLE = "IP_ADAPTER_NODES_CACHE"
NAME = "ip-adapter-nodes"


def cache_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """IP_ADAPTER_NODES_CACHE if set, else the platform's folder for caches. It need not exist yet."""
    chosen = environment.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / NAME
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / NAME
    general = environment.get("XDG_CACHE_HOME")
    return (Path(general) if general else Path.home() / ".cache") / NAME


def make_cache() -> Path:
    """The cache folder, made if necessary. Raises LauncherError where it cannot be written."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LauncherError(
            f"Making the cache folder {folder}: {error}. Set {VARIABLE} to a folder that can be written, "
            "on a disk with about 7 GB free."
        ) from error
    if not os.access(folder, os.W_OK):
        raise LauncherError(
            f"Using the cache folder {folder}: it cannot be written. Set {VARIABLE} to a folder that can."
        )
    return folder
