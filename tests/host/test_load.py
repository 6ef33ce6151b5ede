"""What Load IP-Adapter says of a file in the log."""

import logging

import folder_paths
import pytest
from factories import adapter_tensors
from ip_adapter_nodes.nodes.load import LoadIPAdapter
from safetensors.torch import save_file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "ipadapter", ([str(tmp_path)], {".safetensors"}))
    folder_paths.filename_list_cache.clear()
    return tmp_path


def test_the_log_says_what_the_file_is_and_what_decided(folder, sd15_sites, caplog):
    save_file(adapter_tensors(sd15_sites), folder / "any name.safetensors")
    with caplog.at_level(logging.INFO):
        adapter = LoadIPAdapter.execute(file="any name.safetensors", variant="auto").result[0]
    (line,) = (record.getMessage() for record in caplog.records if record.name.endswith("host.feedback"))
    expected = "any name.safetensors: standard for Stable Diffusion 1.5 and models made from it, for inpainting and "
    assert line.startswith(f"{expected}instructions too, {adapter.spec.tokens} tokens")
    assert line.endswith("by tensor shapes")
