"""A ComfyUI server as a child process: start it, wait for it, use it, stop it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from .client import Client, Report, ignore
from .errors import LauncherError

LOOPBACK = "127.0.0.1"
START_TIMEOUT = 600.0  # seconds; 15 are usual on two cores
STOP_TIMEOUT = 15.0
PORT_ATTEMPTS = 3
LOG_NAME = "server.log"
FAILED_PACK = re.compile(r"\(IMPORT FAILED\): (.+)")  # how the host's log names packs that it could not load
STEPS = re.compile(r"(\d+)/(\d+) \[")  # how the sampler's progress bar looks in the log


class Server(Client):
    """One server with its own base directory, on loopback.

    A context manager: entering starts it and waits until it answers, leaving stops it. `arguments` are added to the
    host's command line; without `port` a free one is taken. Everything it prints goes to `log`.
    """

    def __init__(
        self, python: str, host: Path, base_directory: Path, arguments: Sequence[str] = (), port: int | None = None
    ) -> None:
        super().__init__("")
        self.python, self.host, self.base_directory = python, host, base_directory
        self.arguments, self.port = tuple(arguments), port
        self.log = base_directory / LOG_NAME
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process is alive; it need not answer yet."""
        return self._process is not None and self._process.poll() is None

    def start(self, report: Report = ignore, timeout: float = START_TIMEOUT) -> None:
        """Start the process and return when it answers. Raises LauncherError with the end of the log if it does not."""
        if self.port is not None:
            check_port(self.port)
        for attempt in range(PORT_ATTEMPTS):
            port = self.port or free_port()
            self.url = f"http://{LOOPBACK}:{port}"
            try:
                self._launch(port)
                self._wait_until_ready(report, time.monotonic() + timeout)
                return
            except BaseException as error:
                self.stop()
                # Between choosing a free port and binding it, another program may have taken it.
                taken = isinstance(error, LauncherError) and "address already in use" in self.log_tail().lower()
                if not taken or self.port is not None or attempt == PORT_ATTEMPTS - 1:
                    raise

    def stop(self) -> None:
        """End the process, politely first. Safe to call twice."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for_exit(self) -> int:
        """Block until the process ends by itself and return its exit status."""
        assert self._process is not None, "the server was not started"
        return self._process.wait()

    def check_packs(self) -> None:
        """Raises LauncherError with the reason in the log when the host could not load a pack of the base directory."""
        text = self._log_text()
        failed = [Path(path).name for path in FAILED_PACK.findall(text)]
        if failed:
            reason = "\n".join(text[max(text.find("Traceback"), 0) :].splitlines()[:30])
            names = ", ".join(failed)
            raise LauncherError(f"Loading the packs: ComfyUI could not load {names}. Its log says:\n{reason}")

    def log_tail(self, lines: int = 30) -> str:
        """The end of the log."""
        return "\n".join(self._log_text().splitlines()[-lines:])

    def _log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""

    def activity(self) -> str:
        """As the client's, with the sampler's step where the log shows one."""
        state = super().activity()
        steps = STEPS.findall(self._log_end()) if state == "working" else []
        return f"{state}, step {steps[-1][0]} of {steps[-1][1]}" if steps else state

    def explain(self) -> str:
        state = "It is still running" if self.running else "It has ended"
        return f"{state}; the end of its log:\n{self.log_tail()}"

    def _launch(self, port: int) -> None:
        command = [
            *(self.python, str(self.host / "main.py")),
            *("--listen", LOOPBACK, "--port", str(port)),
            *("--base-directory", str(self.base_directory), "--disable-auto-launch"),
            *self.arguments,
        ]
        with self.log.open("wb") as log:
            self._process = self._spawn(command, log)

    def _spawn(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.base_directory,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal is for the launcher, which then stops the server in order.
            start_new_session=True,
        )

    def _wait_until_ready(self, report: Report, deadline: float) -> None:
        while time.monotonic() < deadline:
            if not self.running:
                raise LauncherError(
                    f"Starting ComfyUI ({self.host}) with {self.python}: it ended before it answered. "
                    "If a module is missing, install the host's requirements into that interpreter. "
                    f"The end of its log:\n{self.log_tail()}"
                )
            if self._answers():
                return
            report("starting")
            time.sleep(0.1)
        raise LauncherError(
            f"Starting ComfyUI ({self.host}): no answer at {self.url} in time. A busy machine needs longer: try again. "
            f"The end of its log:\n{self.log_tail()}"
        )

    def _answers(self) -> bool:
        try:
            described = self.request("/system_stats", timeout=5.0)
        except OSError:
            return False
        # Another server may have taken the port in between; ours was started with this very folder.
        return self.base_directory.name.encode() in described

    def _log_end(self, size: int = 2000) -> str:
        with self.log.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - size))
            return log.read().decode("utf-8", "replace")


def child_environment() -> dict[str, str]:
    """This process's environment for a child that must not write into the checkout and may print any letter."""
    return os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }


def free_port() -> int:
    """A port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def check_port(port: int) -> None:
    """Raise LauncherError if somebody listens on `port`."""
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise LauncherError(f"Starting the server: port {port} is already in use. Choose another with --port.")
