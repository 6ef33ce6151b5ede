"""`models get`, as a person sees it."""

import os
import random
import signal
import subprocess
import sys
from dataclasses import asdict

import pytest
from ip_adapter_nodes.cli.models import main
from ip_adapter_nodes.ip_adapter.library.catalog import by_name
from ip_adapter_nodes.ip_adapter.library.transfer import received
from waiting import wait_until

pytestmark = pytest.mark.usefixtures("signals")
CONTENT = random.Random(0).randbytes(300_000)
# Its published size and hash are not known, so a server on loopback may offer anything under this name.
ANYTHING = "ip_adapter_art_sdxl_512"


@pytest.fixture
def comfyui(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "ComfyUI"))
    return tmp_path / "ComfyUI"


@pytest.fixture
def some(hub, small_catalogue):
    """An entry of the hub and the encoder it needs as the whole catalogue."""
    entry = hub.add("owner/adapters/some.safetensors", CONTENT, encoder="eye", licence="research only")
    eye = hub.add("owner/adapters/eye.safetensors", b"eye", folder="clip_vision", note="an encoder")
    small_catalogue(asdict(entry), asdict(eye))
    return entry


def test_the_file_lands_where_the_host_looks(some, comfyui, capsys):
    assert main(["get", "some"]) == 0
    assert (comfyui / "models" / "ipadapter" / "some.safetensors").read_bytes() == CONTENT
    said = capsys.readouterr()
    assert "licence: research only" in said.out
    assert "It needs eye too (an encoder), if you do not have it: run.py models get eye" in said.out
    assert "300k" in said.err  # the bar's total
    assert main(["get", "some.safetensors", "eye"]) == 0
    assert (comfyui / "models" / "clip_vision" / "eye.safetensors").read_bytes() == b"eye"
    said = capsys.readouterr().out
    assert "nothing to do" in said
    assert "It needs" not in said


def test_a_chosen_folder_is_used_as_it_is(some, tmp_path, monkeypatch):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    assert main(["get", "some", "--into", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here" / "some.safetensors").is_file()


def test_without_a_folder_it_asks_for_one(some, hub, monkeypatch, capsys):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    assert main(["get", "some"]) == 1
    assert "Which ComfyUI? Set COMFYUI_PATH" in capsys.readouterr().err
    assert hub.seen == []


def test_an_unknown_name_gets_a_suggestion(comfyui, capsys):
    assert main(["get", "ip-adapter_sd15_vit-H"]) == 1
    assert "Did you mean ip-adapter_sd15_vit-G" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["get"], ["get", "--list"], ["list", "--catalogue"]])
def test_the_catalogue_can_be_read(arguments, capsys):
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "size", "base", "needs", "goes", "into", "licence", "what", "it", "is"]
    assert any(line.startswith("ip-adapter-faceid_sdxl ") and "research only" in line for line in lines)


def test_an_error_is_a_message(some, hub, comfyui, capsys):
    hub.refuses = 404
    assert main(["get", "some"]) == 1
    assert "run.py models get: " in (said := capsys.readouterr().err)
    assert "HTTP 404" in said


def start(root, folder):
    command = [sys.executable, str(root / "run.py"), "models", "get", ANYTHING, "--into", str(folder)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts():
    """What runs in the background of a shell script inherits that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_interrupted_download_goes_on_at_the_next_run(root, hub, tmp_path, monkeypatch):
    host, folder = tmp_path / "ComfyUI", tmp_path / "here"
    for name in ("main.py", "nodes.py", "folder_paths.py", "comfy/model_patcher.py"):
        (host / name).parent.mkdir(parents=True, exist_ok=True)
        (host / name).touch()
    monkeypatch.setenv("COMFYUI_PATH", str(host))
    repository, path = by_name(ANYTHING).hub
    hub.files[f"{repository}/{path}"] = CONTENT
    hub.pause = 100_000
    with start(root, folder) as running:
        part = folder / f"{path}.part"
        wait_until(lambda: received(part) > 20_000, lambda: running.poll() is None, lambda: running.stdout.read())
        os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does
        said, _ = running.communicate()
    hub.go_on.set()
    assert running.returncode == 130, said
    assert "goes on when the same command is given again" in said
    assert "Traceback" not in said
    there = part.stat().st_size
    assert 20_000 < there < len(CONTENT)
    assert [file.name for file in folder.iterdir()] == [part.name]
    hub.forget()
    with start(root, folder) as running:
        said, _ = running.communicate()
    assert running.returncode == 0, said
    assert [(seen.range, seen.sent) for seen in hub.gets()] == [(f"bytes={there}-", len(CONTENT) - there)]
    assert (folder / path).read_bytes() == CONTENT
