"""Talk to a running ComfyUI over its HTTP API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from .errors import LauncherError

Report: TypeAlias = Callable[[str], None]
Entry: TypeAlias = dict[str, Any]  # one prompt as /history describes it

POLL_SECONDS = 0.1
# Seconds after which something hangs: a slow machine that computes on every core is given time to answer and to draw.
REQUEST_TIMEOUT, WORKFLOW_TIMEOUT = 300.0, 3600.0


class PromptRejectedError(LauncherError):
    """The server refused a graph before running it; `node_errors` is its answer, by node id."""

    def __init__(self, message: str, node_errors: dict[str, Any]) -> None:
        super().__init__(message)
        self.node_errors = node_errors


class PromptFailedError(LauncherError):
    """A node raised, or the prompt was interrupted; `details` is what the server says about it."""

    def __init__(self, message: str, details: dict[str, Any]) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class Picture:
    """A picture that a prompt made: which node, and where the server keeps it."""

    node: str
    filename: str
    subfolder: str
    kind: str  # the folder: output, temp or input


def ignore(_: str) -> None:
    """The report that goes nowhere."""


class Client:
    """The API of the ComfyUI at `url` (without a trailing slash)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client_id = uuid.uuid4().hex
        # The server is on this machine; a proxy from the environment would not reach it.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, path: str, body: Any = None, timeout: float = REQUEST_TIMEOUT) -> bytes:
        """GET `path`, or POST `body` to it as JSON. Raises urllib's HTTPError for an error answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"} if data else {})
        with self._opener.open(request, timeout=timeout) as answer:
            return answer.read()

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        try:
            return json.loads(self.request(path))
        except OSError as error:
            raise LauncherError(f"Asking the server for {path}: {error}. {self.explain()}") from error

    def explain(self) -> str:
        """What to look at when the server does not answer; a subclass that knows more says more."""
        return f"Is the server at {self.url} still running?"

    def object_info(self) -> dict[str, Any]:
        """Every node type the server knows, by name."""
        return self.get("/object_info")

    def queue(self, graph: dict[str, Any]) -> str:
        """Queue an API graph and return the prompt's id. PromptRejectedError if the server finds fault with it."""
        try:
            answer = json.loads(self.request("/prompt", {"prompt": graph, "client_id": self.client_id}))
        except urllib.error.HTTPError as error:
            raise _rejection(error.read(), error.code) from error
        except OSError as error:
            raise LauncherError(f"Queueing a workflow: {error}. {self.explain()}") from error
        if answer.get("node_errors"):  # of some outputs; the server runs the others, and theirs would be missing
            raise _rejection(json.dumps(answer).encode(), 200)
        return answer["prompt_id"]

    def wait(self, prompt_id: str, timeout: float = WORKFLOW_TIMEOUT, report: Report = ignore) -> Entry:
        """The history entry of a prompt once it has succeeded; PromptFailedError if it did not.

        `report` is called several times a second with what is going on.
        """
        until = time.monotonic() + timeout
        while (entry := self.get(f"/history/{prompt_id}").get(prompt_id)) is None:
            report(self.activity())
            if time.monotonic() >= until:
                raise LauncherError(f"Waiting for a workflow: no result after {timeout:.0f} s. {self.explain()}")
            time.sleep(POLL_SECONDS)
        return _succeeded(entry)

    def run(self, graph: dict[str, Any], timeout: float = WORKFLOW_TIMEOUT, report: Report = ignore) -> Entry:
        """Queue and wait."""
        return self.wait(self.queue(graph), timeout, report)

    def activity(self) -> str:
        """A few words on what the server is doing."""
        return "working" if self.get("/queue")["queue_running"] else "queued"

    def fetch(self, picture: Picture) -> bytes:
        """The file's bytes."""
        query = {"filename": picture.filename, "subfolder": picture.subfolder, "type": picture.kind}
        path = "/view?" + urllib.parse.urlencode(query)
        try:
            return self.request(path)
        except OSError as error:
            raise LauncherError(f"Fetching the picture {picture.filename}: {error}. {self.explain()}") from error

    def interrupt(self) -> None:
        """Stop the running prompt at its next step."""
        self.request("/interrupt", {})


def pictures(entry: Entry) -> list[Picture]:
    """The pictures in a history entry, in the order of the nodes."""
    return [
        Picture(node, image["filename"], image.get("subfolder", ""), image.get("type", "output"))
        for node, outputs in entry["outputs"].items()
        for image in outputs.get("images") or []
    ]


def _succeeded(entry: Entry) -> Entry:
    status = entry.get("status") or {}
    if status.get("status_str") != "error":
        return entry
    for kind, details in status.get("messages") or []:
        if kind == "execution_interrupted":
            raise PromptFailedError("Running a workflow: it was interrupted.", details)
        if kind == "execution_error":
            where = f"node {details.get('node_id')} ({details.get('node_type')})"
            message = str(details.get("exception_message", "")).strip()
            raise PromptFailedError(
                f"Running a workflow: {where} raised {details.get('exception_type')}: {message}", details
            )
    raise PromptFailedError("Running a workflow: the server reports an error without saying which.", status)


def _rejection(body: bytes, code: int) -> PromptRejectedError:
    try:
        answer = json.loads(body)
    except ValueError:
        return PromptRejectedError(f"Queueing a workflow: the server answered HTTP {code}: {body[:500]!r}", {})
    problem, node_errors = answer.get("error") or {}, answer.get("node_errors") or {}
    headline = problem.get("message", problem) if isinstance(problem, dict) else problem
    lines = [f"Queueing a workflow: the server refused it (HTTP {code}): {headline}"]
    for node, described in node_errors.items():
        for item in described.get("errors", []):
            detail = f": {item['details']}" if item.get("details") else ""
            lines.append(f"  node {node} ({described.get('class_type')}): {item.get('message')}{detail}")
    return PromptRejectedError("\n".join(lines), node_errors)
