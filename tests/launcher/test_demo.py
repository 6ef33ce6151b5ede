import json

import pytest
from ip_adapter_nodes.launcher.commands import demo
from ip_adapter_nodes.launcher.errors import LauncherError

INFO = {
    "LoadImage": {"input": {"required": {"image": [["x.png"], {"image_upload": True}]}}},
    "EmptyLatentImage": {"input": {"required": {"width": ["INT", {}], "height": ["INT", {}]}}},
}


@pytest.fixture
def pack(odd_folder):
    """A pack with the workflows and pictures of the table, each workflow as small as can be."""
    table = json.loads(demo.TABLE.read_text("utf-8"))
    nodes = [
        {"id": 1, "type": "LoadImage", "widgets_values": ["mine.png", "image"]},
        {"id": 2, "type": "EmptyLatentImage", "widgets_values": [512, 512]},
    ]
    (odd_folder / "workflows").mkdir()
    for name in table["workflows"]:
        (odd_folder / "workflows" / f"{name}.json").write_text(json.dumps({"nodes": nodes, "links": []}))
    (odd_folder / demo.PICTURES).mkdir(parents=True)
    for name in table["pictures"]:
        (odd_folder / demo.PICTURES / name).touch()
    return odd_folder


def test_every_workflow_runs_with_every_picture_at_the_small_size(pack):
    jobs = demo.read_jobs(pack, INFO)
    table = json.loads(demo.TABLE.read_text("utf-8"))
    assert [(job.workflow, job.picture.name) for job in jobs] == [
        (workflow, picture) for workflow in table["workflows"] for picture in table["pictures"]
    ]
    for job in jobs:
        assert job.graph["1"]["inputs"]["image"] == job.picture.name
        assert job.graph["2"]["inputs"] == {"width": 128, "height": 128}


def test_a_picture_that_is_not_there_is_named(pack):
    next((pack / demo.PICTURES).iterdir()).unlink()
    with pytest.raises(LauncherError, match=r"demo_files\.json: there is no .*demo.pictures"):
        demo.read_jobs(pack, INFO)


def test_pictures_go_here_or_where_one_says_or_into_the_cache(tmp_path):
    assert demo.output_folder(None, tmp_path, tmp_path / "cache") == tmp_path / demo.DEFAULT_OUTPUT
    assert demo.output_folder(str(tmp_path / "mine"), tmp_path, tmp_path) == tmp_path / "mine"
    (tmp_path / "file").touch()
    fallback = demo.output_folder(None, tmp_path / "file", tmp_path / "cache")
    assert fallback == tmp_path / "cache" / demo.DEFAULT_OUTPUT
    with pytest.raises(LauncherError, match="Choose another with --output"):
        demo.output_folder(str(tmp_path / "file" / "below"), tmp_path, tmp_path)
