"""The pack under a fixed name, as the host would import it, and the host itself for the tests in tests/host."""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parent.parent
HOST = "IP_ADAPTER_NODES_HOST"


def _load(name: str, file: Path):
    specification = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


_bootstrap = _load("bootstrap", ROOT / "launcher" / "bootstrap.py")
_bootstrap.register_pack(ROOT)
# Shapes in these signatures hold for every call that any test makes. What torch.compile must trace is left as it is.
CHECKED = ("models", *(f"ip_adapter.{name}" for name in ("prompts.preprocess", "faces.alignment", "attention_maps")))
install_import_hook([f"ip_adapter_nodes.{part}" for part in CHECKED], "beartype.beartype")
if HOST in os.environ:
    _bootstrap.prepare_host(Path(os.environ[HOST]), ["--cpu"])
_load("factories", ROOT / "tests" / "factories.py")
_load("census", ROOT / "tests" / "census.py")
_load("face_models", ROOT / "tests" / "face_models.py")
_load("waiting", ROOT / "tests" / "waiting.py")
_load("sources", ROOT / "tests" / "sources.py")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Tests inside the host are not collected where there is none; `run.py test` always has one."""
    inside = {ROOT / "tests" / "host", ROOT / "tests" / "server"}
    in_host = not inside.isdisjoint([collection_path, *collection_path.parents])
    return True if in_host and HOST not in os.environ else None


def pytest_runtest_setup(item) -> None:
    """Browser tests are left out where `run.py test` found no browser; with CI set or --with-browser it fails then."""
    if item.get_closest_marker("browser") and not os.environ.get("IP_ADAPTER_NODES_BROWSER"):
        pytest.skip("no browser was found: these tests were not run")


def pytest_terminal_summary(terminalreporter) -> None:
    """How many browser tests ran, and the one command that brings a browser where they could not."""
    reports = [one for group in terminalreporter.stats.values() for one in group if isinstance(one, pytest.TestReport)]
    those = [one for one in reports if "browser" in one.keywords]
    ran, missed = sum(one.when == "call" for one in those), sum(one.skipped for one in those)
    if missed:
        from ip_adapter_nodes.launcher.browser import HOW

        terminalreporter.write_line(f"Browser tests: {ran} ran, {missed} could not, since there is no browser. {HOW}")
    elif ran:
        terminalreporter.write_line(f"Browser tests: {ran} ran.")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def generator():
    import torch

    return torch.Generator().manual_seed(0)


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
    from ip_adapter_nodes.ip_adapter.library import catalog

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
    from ip_adapter_nodes.cli.models import ENDINGS

    kept = {number: signal.getsignal(number) for number in ENDINGS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


assert "nodes" not in sys.modules or HOST in os.environ, "the pack's own folder must not be on sys.path"
