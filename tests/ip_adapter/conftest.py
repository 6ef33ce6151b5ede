"""A catalogue, and what signals do, of a test's own."""

import json
import signal
from pathlib import Path

import pytest
from ip_adapter_nodes.ip_adapter import catalog
from ip_adapter_nodes.ip_adapter.models_command import ENDINGS

FACTS = {
    "name": "some",
    "file": "some.safetensors",
    "folder": "ipadapter",
    "url": "https://huggingface.co/owner/adapters/resolve/main/some.safetensors",
    "licence": "Apache-2.0",
    "kind": "standard",
    **dict.fromkeys(("sha256", "size", "base", "encoder", "lora", "note")),
}


@pytest.fixture
def small_catalogue(tmp_path: Path, monkeypatch):
    """A function that makes these entries, filled up with defaults, the whole catalogue."""

    def replace(*entries: dict) -> None:
        file = tmp_path / "catalog.json"
        file.write_text(json.dumps([FACTS | entry for entry in entries]), encoding="utf-8")
        monkeypatch.setattr(catalog, "FILE", file)
        catalog.entries.cache_clear()

    yield replace
    catalog.entries.cache_clear()


@pytest.fixture
def signals():
    """What ends a process does so as everywhere at first, and afterwards again."""
    kept = {number: signal.getsignal(number) for number in ENDINGS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
