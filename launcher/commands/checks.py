"""`run.py test`: every check of the project, one after the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache import make_cache
from ..host import Host, prepare_host
from ..process import run as run_program
from ..status import Stopwatch
from .command import Call, Command

HOST_VARIABLE = "IP_ADAPTER_NODES_HOST"
WITH_BROWSER = "--with-browser"
WORKERS = max(1, min(4, os.cpu_count() or 1))


@dataclass(frozen=True)
class Check:
    """A tool, run as a module of the environment; nothing of it may write into the checkout."""

    name: str
    arguments: tuple[str, ...]


def static_checks(root: Path, python: str) -> tuple[Check, ...]:
    """The checks that read the code without running it."""
    return (
        Check("ruff format", ("ruff", "format", "--check", "--no-cache", str(root))),
        Check("ruff check", ("ruff", "check", "--no-cache", str(root))),
        Check("pyright", ("pyright", "--project", str(root), "--pythonpath", python)),
    )


def tests(root: Path, extra: Sequence[str]) -> Check:
    """The test suite. The pack's root must not be on the import path, where `nodes` would shadow the host's."""
    settings = ("-c", str(root / "pyproject.toml"), "--rootdir", str(root), "--import-mode=importlib")
    # Tests are named as seen from the checkout, but pytest starts elsewhere.
    chosen = [name for name in extra if name.startswith("tests/")]
    paths = [str(root / name) for name in chosen] or [str(root / "tests")]
    options = [name for name in extra if name not in chosen]
    # One process per core, each with one thread; all tests of a file in one of them, since they share what they build.
    spread = ("-n", str(WORKERS), "--dist", "loadfile")
    return Check("pytest", ("pytest", *settings, "-p", "no:cacheprovider", *spread, *paths, *options))


def run(call: Call) -> int:
    """Run all checks, whatever the earlier ones say; 0 if all passed."""
    from ..browser import VARIABLE, ensure_browser  # it may install one, so the registry's archive lacks it

    cache = make_cache()
    # First, because a run that lacks it ends here and not after minutes.
    browser = ensure_browser(call.status, WITH_BROWSER in call.extra)
    host = prepare_host(call.root, cache, call.status, checks=True)
    environment = _environment(cache, host) | ({} if browser is None else {VARIABLE: browser})
    extra = [argument for argument in call.extra if argument != WITH_BROWSER]
    checks = [*static_checks(call.root, host.python), tests(call.root, extra)]
    with tempfile.TemporaryDirectory(prefix="checks-", dir=cache) as folder:
        failed = [check.name for check in checks if not _passes(check, call, host, Path(folder), environment)]
    if failed:
        call.status.say(f"FAILED: {', '.join(failed)} (see above)")
    # After a success pytest's own closing line stays the last one: continuous integration reads it.
    return 1 if failed else 0


def _passes(check: Check, call: Call, host: Host, folder: Path, environment: dict[str, str]) -> bool:
    call.status.say(f"==> {check.name}")
    watch = Stopwatch()
    passed = run_program([host.python, "-m", *check.arguments], folder, environment) == 0
    if check.name != "pytest" or not passed:
        call.status.say(f"{'passed' if passed else 'FAILED'}: {check.name} ({watch})")
    return passed


def _environment(cache: Path, host: Host) -> dict[str, str]:
    return {
        HOST_VARIABLE: str(host.path),
        "OMP_NUM_THREADS": "1",
        "PYRIGHT_PYTHON_CACHE_DIR": str(cache / "pyright"),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }


COMMAND = Command(
    name="test",
    summary="set up, then run every check: format, lint, types, tests",
    description="Set everything up and run ruff format, ruff check, pyright and pytest, all of them even if one "
    "fails. --with-browser installs Chromium for the browser tests where that can be done (root on Debian or Ubuntu), "
    "and fails where there is none; with CI set it is always so. Further arguments go to pytest: run.py test -- -k "
    "mask, and -n 0 to run in one process.",
    run=run,
    passes_on="pytest",
    needs="tests",
)
