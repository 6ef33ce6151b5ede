from pathlib import Path

import pytest
from ip_adapter_nodes.launcher import cache
from ip_adapter_nodes.launcher.errors import LauncherError


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "~/.cache/ip-adapter-nodes"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/ip-adapter-nodes"),
        ("darwin", {}, "~/Library/Caches/ip-adapter-nodes"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/ip-adapter-nodes"),
        ("linux", {"IP_ADAPTER_NODES_CACHE": "~/mine"}, "~/mine"),
    ],
)
def test_cache_folder_follows_the_platform(platform, environment, expected):
    assert cache.cache_folder(environment, platform) == Path(expected).expanduser()


def test_a_cache_that_cannot_be_made_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.raises(LauncherError, match=f"Set {cache.VARIABLE} to a folder"):
        cache.make_cache()
