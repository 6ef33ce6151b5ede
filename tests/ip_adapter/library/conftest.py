"""A server on loopback that speaks as much of the hub's protocol as a download needs, and misbehaves on request."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ip_adapter_nodes.ip_adapter.library.catalog import CatalogEntry

BLOCK = 4096


@dataclass(frozen=True)
class Seen:
    """One request, and how many bytes of the file it was sent."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    sent: int


@dataclass
class Hub:
    """Files by "repository/path"; `/resolve/` redirects to the storage: this server under another host name."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # where the hub is to claim another than the true one
    sizes: dict[str, int] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)  # how many bytes each of the next answers sends before it is cut
    refuses: int = 0  # every request, with this status
    token: str = ""  # that the hub, but not its storage, wants to see
    ranges: bool = True
    pause: int | None = None  # after about so many bytes of a file its sending waits until it may go on
    go_on: threading.Event = field(default_factory=threading.Event)
    log: list[Seen] = field(default_factory=list)  # written by the server's threads; tests read `seen`
    answering: threading.Lock = field(default_factory=threading.Lock)  # held from a request to its entry in `log`

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, name: str, content: bytes, **changes) -> CatalogEntry:
        """Offer a file and return its catalogue entry, with some facts of it replaced."""
        repository, path = name.rsplit("/", 1)
        self.files[name] = content
        facts = {
            "name": path.partition(".")[0],
            "file": path,
            "folder": "ipadapter",
            "url": f"https://huggingface.co/{repository}/resolve/main/{path}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "licence": "Apache-2.0",
            "kind": "standard",
            **dict.fromkeys(("base", "encoder", "lora", "note")),
        }
        return CatalogEntry(**(facts | changes))

    @property
    def seen(self) -> list[Seen]:
        """Every request so far; waits for an answer under way, whose client may have its last byte already."""
        with self.answering:
            return list(self.log)

    def gets(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "GET"]

    def forget(self) -> None:
        with self.answering:
            self.log.clear()


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        with self.hub.answering:
            self.answer(head=True)

    def do_GET(self):
        with self.hub.answering:
            self.answer(head=False)

    def answer(self, head: bool):
        hub, place = self.hub, self.path.strip("/")
        asked = self.headers.get("Authorization")
        stored = place.startswith("storage/")
        name = place.removeprefix("storage/") if stored else place.replace("/resolve/main/", "/")
        status = hub.refuses or (401 if hub.token and not stored and asked != f"Bearer {hub.token}" else 200)
        status = 404 if status == 200 and name not in hub.files else status
        sent = 0
        if status != 200:
            self.plain(status)
        elif stored:
            sent = self.send_file(name, head)
        else:
            self.redirect(name)
        hub.log.append(Seen(self.command, self.path, self.headers.get("Range"), asked, sent))

    def plain(self, status: int):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def redirect(self, name: str):
        content = self.hub.files[name]
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.hub.port}/storage/{name}")
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("X-Linked-Etag", f'"{self.hub.digests.get(name) or hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(self.hub.sizes.get(name, len(content))))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, name: str, head: bool) -> int:
        content, start = self.hub.files[name], 0
        if self.hub.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes" if self.hub.ranges else "none")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        return 0 if head else self.send_body(content[start:])

    def send_body(self, body: bytes) -> int:
        length = self.hub.cuts.pop(0) if self.hub.cuts else len(body)
        for start in range(0, min(length, len(body)), BLOCK):
            if self.hub.pause is not None and start >= self.hub.pause:
                self.hub.go_on.wait()
            try:
                self.wfile.write(body[start : min(start + BLOCK, length)])
            except OSError:  # the other side went away
                length = start
                break
        self.close_connection = length < len(body)
        return min(length, len(body))


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that goes away is what these tests are about."""


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    server = Server(("127.0.0.1", 0), handler)
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)  # it may be imported already
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    hub.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()
