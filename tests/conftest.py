"""The pack under a fixed name, as the host would import it, and the host itself for the tests in tests/host."""

import importlib.util
import os
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
CHECKED = ("models", *(f"ip_adapter.{name}" for name in ("prompts.preprocess", "faces.alignment", "seeing")))
install_import_hook([f"ip_adapter_nodes.{part}" for part in CHECKED], "beartype.beartype")
if HOST in os.environ:
    _bootstrap.prepare_host(Path(os.environ[HOST]), ["--cpu"])
_load("factories", ROOT / "tests" / "factories.py")
_load("census", ROOT / "tests" / "census.py")
_load("face_models", ROOT / "tests" / "face_models.py")
_load("waiting", ROOT / "tests" / "waiting.py")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Tests inside the host are not collected where there is none; `run.py test` always has one."""
    inside = {ROOT / "tests" / "host", ROOT / "tests" / "server"}
    in_host = not inside.isdisjoint([collection_path, *collection_path.parents])
    return True if in_host and HOST not in os.environ else None


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def generator():
    import torch

    return torch.Generator().manual_seed(0)


assert "nodes" not in sys.modules or HOST in os.environ, "the pack's own folder must not be on sys.path"
