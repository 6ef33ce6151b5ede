"""Where a ComfyUI keeps adapters: against the rules of the host's own reader."""

import pytest
from ip_adapter_nodes.ip_adapter.library.model_folders import ModelFoldersError, adapter_folders

CONFIG = """
comfyui:
    base_path: {shared}
    is_default: true
    ipadapter: adapters
    loras: loras
others:
    ip_adapter: |
        {absolute}
        ../beside/the file

    ipadapter-flux: $HERE/flux
empty:
nested:
    ipadapter: [not, text]
"""


def make(*folders):
    for folder in folders:
        folder.mkdir(parents=True)


def test_own_folders_of_every_pack(tmp_path):
    models = tmp_path / "models"
    expected = [
        models / name for name in ("IPAdapters", "ipadapter", "ipadapter-flux", "xlabs/ipadapters", "instantid")
    ]
    make(*expected, models / "loras", models / "clip_adapter", models / "skipadapter")
    assert adapter_folders(tmp_path) == expected


def test_extra_paths_by_the_hosts_rules(tmp_path, monkeypatch):
    host, shared = tmp_path / "host", tmp_path / "shared"
    monkeypatch.setenv("HERE", str(tmp_path))
    expected = [shared / "adapters", tmp_path / "absolute", tmp_path / "beside" / "the file", tmp_path / "flux"]
    make(host, shared / "loras", *expected)
    text = CONFIG.format(shared="../shared", absolute=tmp_path / "absolute")
    (host / "extra_model_paths.yaml").write_text(text.replace("$HERE", str(tmp_path)))
    assert adapter_folders(host) == expected


def test_the_base_path_may_name_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELS_HERE", str(tmp_path / "shared"))
    make(tmp_path / "host", tmp_path / "shared" / "a")
    (tmp_path / "host" / "extra_model_paths.yaml").write_text("x:\n  base_path: $MODELS_HERE\n  ipadapter: a\n")
    assert adapter_folders(tmp_path / "host") == [tmp_path / "shared" / "a"]


@pytest.mark.parametrize("content", ["", "null", "- a\n- b", "just text", "comfyui: text"])
def test_a_file_that_names_nothing_is_harmless(tmp_path, content):
    (tmp_path / "extra_model_paths.yaml").write_text(content)
    assert adapter_folders(tmp_path) == []


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"!!python/object/apply:os.system ['x']"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "extra_model_paths.yaml").write_bytes(content)
    with pytest.raises(ModelFoldersError, match=r"(?s)extra_model_paths\.yaml cannot be read.*ComfyUI needs it too"):
        adapter_folders(tmp_path)
