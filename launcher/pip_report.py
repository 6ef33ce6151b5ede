"""Follow what pip prints and put it into a few words."""

from __future__ import annotations

import re

MEGABYTE = 1_000_000
COLLECTING = re.compile(r"Collecting (\S+)")
DOWNLOADING = re.compile(r"\s*(?:Downloading|Using cached) (\S+)")
PROGRESS = re.compile(r"Progress (\d+) of (\d+)")  # pip's --progress-bar raw
INSTALLING = re.compile(r"Installing collected packages: (.*)")


class PipReport:
    """A callable for `run_quietly`: one line of pip's in, what to show out (empty: nothing new)."""

    def __init__(self) -> None:
        self._file = ""

    def __call__(self, line: str) -> str:
        if progress := PROGRESS.match(line):
            done, total = (int(size) / MEGABYTE for size in progress.groups())
            return f"downloading {self._file}, {done:.0f} of {total:.0f} MB"
        if download := DOWNLOADING.match(line):
            self._file = download[1].rsplit("/", 1)[-1].removesuffix(".metadata")
            return f"downloading {self._file}"
        if collecting := COLLECTING.match(line):
            return f"looking for {collecting[1]}"
        if installing := INSTALLING.match(line):
            return f"installing {len(installing[1].split(','))} packages"
        return ""
