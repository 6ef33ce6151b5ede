"""Downloads from a hub on loopback: whole, interrupted, refused, damaged."""

import hashlib
import io
import random
import socket
import zipfile

import pytest
from ip_adapter_nodes.ip_adapter.library.download import fetch, folder_for
from ip_adapter_nodes.ip_adapter.library.transfer import CutError, DownloadError

CONTENT = random.Random(0).randbytes(200_000)
NAME = "owner/adapters/some.safetensors"


def quietly(done: int, size: int) -> None:
    """A report that goes nowhere."""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models" / "ipadapter"


@pytest.fixture
def nobody():
    """An address where nobody answers: the port stays taken, so that nobody else opens it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_the_file_arrives_whole_and_alone(hub, folder):
    progress = []
    path = fetch(hub.add(NAME, CONTENT), folder, lambda done, size: progress.append((done, size)))
    assert path == folder / "some.safetensors"
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]
    assert progress[0] == (0, len(CONTENT))
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    assert [(seen.method, seen.path) for seen in hub.seen] == [
        ("HEAD", "/owner/adapters/resolve/main/some.safetensors"),
        ("GET", f"/storage/{NAME}"),
    ]


def test_a_right_file_is_not_fetched_again(hub, folder):
    entry = hub.add(NAME, CONTENT)
    fetch(entry, folder, quietly)
    hub.forget()
    assert fetch(entry, folder, quietly) == folder / "some.safetensors"
    assert hub.seen == []


@pytest.mark.parametrize("other", [b"mine", bytes(len(CONTENT))], ids=["another size", "another content"])
def test_another_file_of_that_name_is_left_alone(hub, folder, other):
    folder.mkdir(parents=True)
    (folder / "some.safetensors").write_bytes(other)
    with pytest.raises(DownloadError, match="is not the published some"):
        fetch(hub.add(NAME, CONTENT), folder, quietly)
    assert (folder / "some.safetensors").read_bytes() == other
    assert hub.seen == []


def test_a_cut_connection_goes_on_where_it_was_cut(hub, folder):
    hub.cuts[:] = [50_000, 30_000]
    path = fetch(hub.add(NAME, CONTENT), folder, quietly)
    assert path.read_bytes() == CONTENT
    assert [(seen.range, seen.sent) for seen in hub.gets()] == [
        (None, 50_000),
        ("bytes=50000-", 30_000),
        ("bytes=80000-", 120_000),
    ]


def test_a_later_run_goes_on_too(hub, folder):
    entry = hub.add(NAME, CONTENT)
    hub.cuts[:] = [50_000, 0]  # the reconnection brings nothing, so this run gives up
    with pytest.raises(CutError, match=r"ended after 50000 of 200000 bytes.*goes on where this one stopped"):
        fetch(entry, folder, quietly)
    assert [path.name for path in folder.iterdir()] == ["some.safetensors.part"]
    hub.forget()
    assert fetch(entry, folder, quietly).read_bytes() == CONTENT
    assert [seen.sent for seen in hub.gets()] == [150_000]
    assert [path.name for path in folder.iterdir()] == ["some.safetensors"]


def test_a_server_without_ranges_sends_all_again(hub, folder):
    hub.ranges = False
    folder.mkdir(parents=True)
    (folder / "some.safetensors.part").write_bytes(CONTENT[:70_000])
    assert fetch(hub.add(NAME, CONTENT), folder, quietly).read_bytes() == CONTENT
    assert [seen.sent for seen in hub.gets()] == [len(CONTENT)]


def test_a_damaged_download_is_removed(hub, folder):
    entry = hub.add(NAME, CONTENT)
    hub.digests[NAME] = entry.sha256
    hub.files[NAME] = bytes(len(CONTENT))
    with pytest.raises(DownloadError, match=f"arrived damaged: its sha256 is .* and should be {entry.sha256}"):
        fetch(entry, folder, quietly)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("change", [{"size": 5}, {"sha256": "0" * 64}])
def test_another_file_than_the_catalogue_knows_is_not_fetched(hub, folder, change):
    with pytest.raises(DownloadError, match="not the file that the catalogue knows"):
        fetch(hub.add(NAME, CONTENT, **change), folder, quietly)
    assert hub.gets() == []


def test_an_entry_without_facts_is_checked_against_the_hubs_own(hub, folder):
    entry = hub.add(NAME, CONTENT, size=None, sha256=None)
    assert fetch(entry, folder, quietly).read_bytes() == CONTENT
    hub.digests[NAME] = hashlib.sha256(b"another").hexdigest()
    with pytest.raises(DownloadError, match="arrived damaged"):
        fetch(entry, folder / "elsewhere", quietly)


@pytest.mark.parametrize(
    ("status", "advice"), [(404, "not there any more"), (401, "set HF_TOKEN"), (403, "set HF_TOKEN"), (429, "Wait")]
)
def test_a_refusal_says_what_to_do(hub, folder, status, advice):
    hub.refuses = status
    with pytest.raises(DownloadError, match=rf"HTTP {status}\..*{advice}"):
        fetch(hub.add(NAME, CONTENT), folder, quietly)
    assert list(folder.iterdir()) == []


def test_the_token_goes_to_the_hub_and_not_to_its_storage(hub, folder, monkeypatch):
    hub.token = "hf_secret"
    with pytest.raises(DownloadError, match="401"):
        fetch(hub.add(NAME, CONTENT), folder, quietly)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch(hub.add(NAME, CONTENT), folder, quietly).read_bytes() == CONTENT
    assert [seen.authorization for seen in hub.seen[-2:]] == ["Bearer hf_secret", None]


def test_no_network_is_named(hub, folder, nobody, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", nobody)
    with pytest.raises(DownloadError, match=r"cannot be reached.*Check the network"):
        fetch(hub.add(NAME, CONTENT), folder, quietly)


def test_a_file_larger_than_the_disk_is_not_begun(hub, folder):
    hub.sizes[NAME] = 10**16
    with pytest.raises(DownloadError, match=r"needs 10000000\.00 GB more, and the disk of .* has"):
        fetch(hub.add(NAME, CONTENT, size=10**16), folder, quietly)
    assert hub.gets() == []


def test_a_disk_that_fills_up_is_named(hub, folder):
    folder.mkdir(parents=True)
    (folder / "some.safetensors.part").symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(DownloadError, match=r"is full .*Make room"):
        fetch(hub.add(NAME, CONTENT), folder, quietly)
    assert not (folder / "some.safetensors").exists()


def test_a_folder_that_cannot_be_made_is_named(hub, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot be made"):
        fetch(hub.add(NAME, CONTENT), tmp_path / "file" / "ipadapter", quietly)


def pack(hub, members: dict[str, bytes]):
    """The entry of a face pack that lies elsewhere than on the hub."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    facts = {"file": "faces", "folder": "insightface", "contents": ("a.onnx", "b.onnx")}
    return hub.add("packs/faces.zip", buffer.getvalue(), url=f"{hub.url}/packs/resolve/main/faces.zip", **facts)


@pytest.mark.parametrize("inside", ["", "faces/"], ids=["flat", "in a folder"])
def test_a_pack_is_unpacked_where_it_is_looked_for(hub, tmp_path, inside):
    entry = pack(hub, {f"{inside}a.onnx": b"a" * 9000, f"{inside}b.onnx": b"b", "../../escaped": b"x", "read me": b""})
    hub.cuts[:] = [20]
    folder = folder_for(entry, tmp_path / "models")
    assert fetch(entry, folder, quietly) == tmp_path / "models" / "insightface" / "models" / "faces"
    assert [seen.range for seen in hub.gets() if "storage" in seen.path] == [None, "bytes=20-"]
    found = {path.relative_to(tmp_path / "models").as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {f"insightface/models/faces/{name}.onnx" for name in "ab"}
    assert (folder / "faces" / "a.onnx").read_bytes() == b"a" * 9000
    hub.forget()
    fetch(entry, folder, quietly)
    assert hub.seen == []


def test_a_pack_that_lacks_a_file_is_refused(hub, folder):
    with pytest.raises(DownloadError, match=r"cannot be unpacked.*b\.onnx"):
        fetch(pack(hub, {"a.onnx": b"a"}), folder, quietly)
    assert not (folder / "faces").exists()


def test_a_nested_or_incomplete_pack_is_named(hub, folder):
    (folder / "faces" / "faces").mkdir(parents=True)
    (folder / "faces" / "b.onnx").write_bytes(b"b")
    with pytest.raises(DownloadError, match=r"lacks a\.onnx"):
        fetch(pack(hub, {"a.onnx": b"a", "b.onnx": b"b"}), folder, quietly)
