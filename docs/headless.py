#!/usr/bin/env python3
"""Run a workflow on a ComfyUI server, show its progress and save its pictures. Needs nothing but Python 3.10 or newer.

    python3 headless.py graph.json --picture "Reference picture.image=cat.png" --set "KSampler.seed=7"

graph.json is a workflow in the API format, from `run.py dev api` or "Export (API)" in the browser.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import ssl
import struct
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Graph = dict[str, dict[str, Any]]  # node id -> class_type, inputs, _meta
CONNECT_SECONDS, SILENCE_SECONDS = 30.0, 900.0  # a large model may load for minutes without a word
CONTINUED, TEXT, CLOSE, PING = 0, 1, 8, 9  # kinds of websocket frames


class HeadlessError(Exception):
    """What the user can mend."""


class WebSocket:
    """As much of RFC 6455 as it takes to listen: messages in text, and an answer to pings."""

    def __init__(self, url: str) -> None:
        address = urllib.parse.urlsplit(url)
        port = address.port or (443 if address.scheme == "https" else 80)
        self._socket = socket.create_connection((address.hostname or "", port), CONNECT_SECONDS)
        if address.scheme == "https":
            self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=address.hostname)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {address.path}?{address.query} HTTP/1.1",
            f"Host: {address.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._stream = self._socket.makefile("rb")
        status = self._stream.readline().decode().strip()
        if " 101 " not in status:
            raise HeadlessError(f"{url} gave no websocket: {status or 'no answer'}. Is this a ComfyUI server?")
        while self._stream.readline().strip():  # the rest of the head
            pass
        self._socket.settimeout(SILENCE_SECONDS)

    def messages(self) -> Iterator[dict[str, Any]]:
        """The JSON of each text message, until the server closes. Previews, which are binary, are passed over."""
        kind, message = TEXT, b""
        while True:
            is_last, frame, data = self._frame()
            if frame == CLOSE:
                return
            if frame == PING:  # answered by the same data, masked with zeros
                self._socket.sendall(bytes([0x8A, 0x80 | len(data)]) + bytes(4) + data)
            if frame > CLOSE:
                continue
            kind, message = (kind, message + data) if frame == CONTINUED else (frame, data)
            if is_last and kind == TEXT:
                yield json.loads(message)

    def _frame(self) -> tuple[bool, int, bytes]:
        first, length = self._read(2)
        for marker, layout in ((126, "!H"), (127, "!Q")):
            if length == marker:
                (length,) = struct.unpack(layout, self._read(struct.calcsize(layout)))
                break
        return bool(first & 0x80), first & 0x0F, self._read(length)

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise HeadlessError("The server ended the connection. Its log says why.")
        return data


class Server:
    """The HTTP side of a ComfyUI at `url`."""

    def __init__(self, url: str) -> None:
        self.url, self.client = url.rstrip("/"), uuid.uuid4().hex
        # No proxy, since the websocket goes through none.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, path: str, data: bytes | None = None, kind: str = "application/json") -> bytes:
        """GET `path`, or POST `data` to it."""
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind} if data else {})
        try:
            with self._opener.open(request, timeout=CONNECT_SECONDS) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise HeadlessError(f"{path} was refused with HTTP {error.code}:\n{_refusal(error.read())}") from error

    def upload(self, file: Path) -> str:
        """Put a picture into the server's input folder; the name that it has there."""
        boundary = uuid.uuid4().hex
        name = file.name.replace('"', "_")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
        body = head.encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        return json.loads(self.request("/upload/image", body, f"multipart/form-data; boundary={boundary}"))["name"]

    def run(self, graph: Graph) -> dict[str, Any]:
        """Queue a graph, show what happens until it is done, and return what each node has put out."""
        # Connected first, so that nothing is missed.
        events = WebSocket(f"{self.url}/ws?clientId={self.client}").messages()
        body = json.dumps({"prompt": graph, "client_id": self.client}).encode()
        answer = json.loads(self.request("/prompt", body))
        prompt = answer["prompt_id"]
        if answer.get("node_errors"):  # the server runs what is left of the graph, as a lone preview
            self.request("/queue", json.dumps({"delete": [prompt]}).encode())
            raise HeadlessError(f"A part of the graph was refused:\n{faults(answer)}")
        follow(events, prompt, graph)
        return json.loads(self.request(f"/history/{prompt}"))[prompt]["outputs"]

    def save(self, outputs: dict[str, Any], folder: Path) -> list[Path]:
        """Fetch every picture that the nodes have saved; previews are left where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        paths: list[Path] = []
        for picture in (item for output in outputs.values() for item in output.get("images", [])):
            if picture["type"] == "output":
                paths.append(folder / Path(picture["filename"]).name)
                paths[-1].write_bytes(self.request("/view?" + urllib.parse.urlencode(picture)))
        return paths


def follow(events: Iterator[dict[str, Any]], prompt: str, graph: Graph) -> None:
    """Print what the server does, until it has finished the prompt. Raises HeadlessError if it fails."""
    for event in events:
        kind, data = event["type"], event.get("data")
        if not isinstance(data, dict) or data.get("prompt_id") != prompt:
            continue  # another prompt's, or another pack's
        if kind == "executing" and data["node"] is None:
            return
        if kind == "executing":
            print(title(graph, data["node"]), flush=True)
        elif kind == "progress":
            print(f"  {data['value']} of {data['max']}", end="\n" if data["value"] == data["max"] else "\r", flush=True)
        elif kind == "execution_error":
            raise HeadlessError(f"{data['node_type']} (node {data['node_id']}): {data['exception_message'].strip()}")
        elif kind == "execution_interrupted":
            raise HeadlessError("Somebody interrupted the workflow.")
    raise HeadlessError("The server closed the connection before the workflow was done. Its log says why.")


def title(graph: Graph, node: str) -> str:
    """A node's title, else its type; a node made while running has neither."""
    described = graph.get(node, {})
    return described.get("_meta", {}).get("title") or described.get("class_type", node)


def change(graph: Graph, name: str, value: Any) -> None:
    """Set an input by "NODE.input", where NODE is a node's id or title, or the type of a single node."""
    owner, _, wanted = name.rpartition(".")
    inputs = {node: described["inputs"] for node, described in graph.items() if wanted in described["inputs"]}
    named = [node for node in inputs if owner in (node, title(graph, node))]
    found = named or [node for node in inputs if owner == graph[node]["class_type"]]
    if len(found) != 1:
        known = sorted(f"{title(graph, node)}.{key}" for node in graph for key in graph[node]["inputs"])
        raise HeadlessError(f"{len(found)} inputs are called {name!r}. There are: {', '.join(known)}.")
    inputs[found[0]][wanted] = value


def faults(answer: Any) -> str:
    """What a server finds wrong with a graph, a line for each fault."""
    nodes = answer["node_errors"].values()
    return "\n".join(f"{node['class_type']}: {fault['details']}" for node in nodes for fault in node["errors"])


def _refusal(body: bytes) -> str:
    """The faults in an answer, or the answer as it came."""
    text = body.decode(errors="replace")
    try:
        return faults(json.loads(text)) or text
    except (ValueError, KeyError, TypeError, AttributeError):
        return text


def _value(text: str) -> Any:
    """7 and 0.5 as numbers, true as a truth, everything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or "." not in name:
        raise argparse.ArgumentTypeError(f"expected NODE.input=VALUE, got {text!r}")
    return name, value


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path, help="a workflow in the API format")
    parser.add_argument(
        "--server", default="http://127.0.0.1:8188", help="where ComfyUI answers (default: %(default)s)"
    )
    for option, value, what in (
        ("--set", "VALUE", "change an input"),
        ("--picture", "FILE", "upload a picture for it"),
    ):
        metavar, again = f"NODE.input={value}", f"{what}; may come several times"
        parser.add_argument(option, metavar=metavar, help=again, type=_pair, action="append", default=[])
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the pictures (default: here)")
    options = parser.parse_args(arguments)
    try:
        graph, server = json.loads(options.graph.read_text(encoding="utf-8")), Server(options.server)
        for name, value in options.set:
            change(graph, name, _value(value))
        for name, file in options.picture:
            change(graph, name, server.upload(Path(file)))
        for path in server.save(server.run(graph), options.output):
            print(path)
    except (HeadlessError, OSError, ValueError) as error:
        print(f"headless.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
