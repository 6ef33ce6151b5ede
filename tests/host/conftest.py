"""Small host models with random weights, and the modules in `support` under the package name `host_support`."""

import sys
import types
from pathlib import Path

import pytest
import torch

_package = types.ModuleType("host_support")
_package.__path__ = [str(Path(__file__).parent / "support")]
sys.modules["host_support"] = _package


@pytest.fixture(autouse=True)
def inference_mode():
    """The host runs every node in inference mode, so our code sees inference tensors."""
    with torch.inference_mode():
        yield


@pytest.fixture
def face_libraries():
    """For tests that analyse faces: the libraries for it can be imported."""


@pytest.fixture(autouse=True)
def no_face_libraries(request, monkeypatch):
    """In every other test importing them raises, as on a machine without them."""
    if "face_libraries" not in request.fixturenames:
        for name in ("insightface", "onnxruntime", "cv2", "skimage"):
            monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture(scope="session")
def sd15():
    """A MODEL of Stable Diffusion 1.5's topology: 16 sites, context width 768, few channels."""
    from host_support.small_models import random_model

    return random_model("sd15")


@pytest.fixture(scope="session")
def sdxl():
    """A MODEL of SDXL's topology: 70 sites, context width 2048, pooled text and sizes, few channels."""
    from host_support.small_models import random_model

    return random_model("sdxl")


@pytest.fixture(scope="session")
def sd15_sites(sd15):
    from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites

    return find_sites(sd15.model.diffusion_model)


@pytest.fixture(scope="session")
def sdxl_sites(sdxl):
    from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites

    return find_sites(sdxl.model.diffusion_model)
