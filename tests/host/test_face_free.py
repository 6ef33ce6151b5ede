"""Where insightface, onnxruntime, OpenCV and scikit-image cannot be imported, everything but face analysis is there.

That the other nodes also run there is what all other tests in this folder show: see `no_face_libraries` in conftest.py.
"""

import asyncio
import importlib
import sys
import types

import folder_paths
import pytest
from face_models import write_pack

LIBRARIES = ("insightface", "onnxruntime", "cv2", "skimage")


@pytest.fixture
def fresh_pack(root, monkeypatch, tmp_path):
    """Imports modules of a second copy of the pack, under another name, while the libraries cannot be imported."""
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", dict(folder_paths.folder_names_and_paths))
    monkeypatch.delitem(folder_paths.folder_names_and_paths, "insightface", raising=False)  # other tests' packs
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, None)
    package = types.ModuleType("fresh_pack")
    package.__path__ = [str(root)]
    monkeypatch.setitem(sys.modules, "fresh_pack", package)
    yield lambda name: importlib.import_module(f"fresh_pack.{name}")
    for name in [name for name in sys.modules if name.startswith("fresh_pack.")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_libraries_really_cannot_be_imported(fresh_pack, name):
    with pytest.raises(ImportError):
        importlib.import_module(name)


def test_every_module_is_imported_and_every_node_offered(fresh_pack, root):
    parts = [
        path.relative_to(root) for part in ("models", "ip_adapter", "nodes") for path in (root / part).rglob("*.py")
    ]
    for path in parts:
        if path.name not in ("__init__.py", "__main__.py"):
            fresh_pack(".".join(path.with_suffix("").parts))
    nodes = asyncio.run(fresh_pack("nodes").IPAdapterExtension().get_node_list())
    assert {"LoadIPAdapter", "ApplyIPAdapter", "LoadFaceAnalysis"} <= {node.GET_SCHEMA().node_id for node in nodes}


def test_only_loading_a_face_analysis_fails_and_says_how_to_get_it(fresh_pack, tmp_path):
    load = fresh_pack("nodes.face").LoadFaceAnalysis
    fresh_pack("ip_adapter.host.faces").register_folder()
    write_pack(tmp_path / "insightface" / "models" / "tiny")
    assert [given.options for given in load.GET_SCHEMA().inputs] == [["auto", "tiny"], ["auto"]]
    with pytest.raises(ValueError, match="pip install onnxruntime"):
        load.execute("tiny", "auto")
