"""Find a Chromium-like browser for the tests that open the frontend."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from .process import run
from .status import Status

VARIABLE = "IP_ADAPTER_NODES_BROWSER"
CHOSEN = "CHROME_PATH"
PROGRAMS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge", "msedge"),
)
PLACES = {
    "linux": ("/usr/bin/chromium", "/usr/bin/google-chrome", "/snap/bin/chromium"),
    "darwin": (
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Google\Chrome\Application\chrome.exe",
        r"%LocalAppData%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
        r"%ProgramFiles%\Microsoft\Edge\Application\msedge.exe",
    ),
}


def find_browser(environment: Mapping[str, str] = os.environ) -> str | None:
    """The path of an executable: the one chosen by CHROME_PATH, one on PATH, or one in a usual place."""
    chosen = environment.get(VARIABLE) or environment.get(CHOSEN)
    if chosen:
        return chosen if Path(chosen).is_file() else None
    on_path = (shutil.which(name, path=environment.get("PATH")) for name in PROGRAMS)
    places = (os.path.expandvars(place) for place in PLACES.get(sys.platform, ()))
    return next((path for path in (*on_path, *places) if path and Path(path).is_file()), None)


def ensure_browser(status: Status, environment: Mapping[str, str] = os.environ) -> str | None:
    """A browser's path; in continuous integration on Debian as root it is installed if there is none."""
    found = find_browser(environment)
    if found is None and _may_install(environment):
        status.say("No browser found; installing Debian's chromium for the browser tests (CI=true) ...")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-q"], environment=quiet)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"], environment=quiet)
        found = find_browser(environment)
    if found is None:
        status.say(f"No browser found. For the browser tests install Chromium, Chrome or Edge, or set {CHOSEN}.")
    return found


def _may_install(environment: Mapping[str, str]) -> bool:
    is_root = sys.platform == "linux" and os.geteuid() == 0
    return is_root and environment.get("CI") == "true" and shutil.which("apt-get") is not None
