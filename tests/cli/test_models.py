"""`models list`, `inspect` and `convert`, as a person and as a program see them."""

import io
import json
import signal
import subprocess
import sys

import pytest
import torch
from census import face_plus, file_of, linear, lora
from ip_adapter_nodes.cli.models import ENDINGS, INTERRUPTED, listing, main
from safetensors.torch import save_file

pytestmark = pytest.mark.usefixtures("signals")
KEYS = ["file", "status", "kind", "base", "tokens", "encoder", "lora", "decided_by", "name", "reason"]
WIDTHS = (64,) * 16
STANDARD = {name: torch.ones(shape) for name, shape in file_of(linear(1024, 768), WIDTHS, 768).items()}
FACE = {name: torch.ones(shape) for name, shape in (file_of(face_plus(64), WIDTHS, 64) | lora(WIDTHS, 64)).items()}


@pytest.fixture
def comfyui(tmp_path, monkeypatch):
    """A ComfyUI with a good adapter, a LoRA and a damaged file, and another good one on an extra path."""
    folder = tmp_path / "ComfyUI" / "models" / "ipadapter"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    save_file(STANDARD, folder / "sub" / "good.safetensors")
    save_file({"lora_unet_x.lora_down.weight": torch.ones(2, 2)}, folder / "style.safetensors")
    (folder / "bad.bin").write_bytes(b"no pickle")
    torch.save(FACE, tmp_path / "elsewhere" / "face.pth")
    extra = f"mine:\n  base_path: {tmp_path}\n  ip_adapter: elsewhere\n"
    (tmp_path / "ComfyUI" / "extra_model_paths.yaml").write_text(extra)
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "ComfyUI"))
    return tmp_path / "ComfyUI"


def test_json_has_every_key_and_null_for_what_is_not_known(comfyui, capsys):
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [list(item) for item in listed] == [KEYS] * 4
    found = {item["file"].removeprefix(str(comfyui.parent)): item for item in listed}
    assert found["/ComfyUI/models/ipadapter/sub/good.safetensors"] | {"file": ""} == {
        "file": "",
        "status": "supported",
        "kind": "standard",
        "base": "sd15",
        "tokens": 4,
        "encoder": "CLIP ViT-H/14 (clip_vision_h.safetensors)",
        "lora": None,
        "decided_by": "tensor shapes",
        "name": None,
        "reason": None,
    }
    face = found["/elsewhere/face.pth"]
    assert (face["kind"], face["lora"]) == ("faceid-plus-v2", 128)
    assert "default" in face["decided_by"]
    lora, bad = (found[f"/ComfyUI/models/ipadapter/{name}"] for name in ("style.safetensors", "bad.bin"))
    assert (lora["status"], lora["kind"], lora["tokens"]) == ("relative", "lora", None)
    assert (bad["status"], bad["kind"]) == ("damaged", None)
    assert bad["reason"].startswith("bad.bin was not read")


def test_a_person_reads_a_table_and_the_reasons(comfyui, capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heading = next(line for line in lines if line.startswith("file "))
    row = next(line for line in lines if line.startswith("sub/good.safetensors"))
    assert row.index("supported") == heading.index("status")
    assert row.index("CLIP ViT-H/14") == heading.index("image encoder")
    assert any("style.safetensors is a LoRA" in line and "models/loras" in line for line in lines)
    assert any(line.startswith("  sd15 fits Stable Diffusion 1.5 and models made from it") for line in lines)
    assert any("face.pth was taken for faceid-plus-v2 by default" in line for line in lines)
    assert lines[-1] == "4 files: 2 supported, 1 relative, 1 damaged."


def test_a_hostile_name_moves_no_cursor_and_stays_readable_for_programs(tmp_path, capsys):
    name = "two\nlines \x1b[2J \u56fe\udcff.bin"
    (tmp_path / name).write_bytes(b"no pickle")
    assert main(["list", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "two?lines ?[2J \u56fe?.bin" in line)
    heading = next(line for line in lines if line.startswith("file "))
    assert row.index("damaged") + 1 == heading.index("status")  # one letter above is two columns wide
    assert main(["list", "--json", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["file"] == str(tmp_path / name)


def test_folders_and_files_can_be_named(comfyui, capsys):
    file = comfyui / "models" / "ipadapter" / "style.safetensors"
    assert main(["list", "--json", str(file), str(comfyui.parent / "elsewhere")]) == 0
    assert [item["kind"] for item in json.loads(capsys.readouterr().out)] == ["lora", "faceid-plus-v2"]


@pytest.mark.parametrize("folder", [[], ["nowhere"]])
def test_a_missing_folder_is_an_error(folder, monkeypatch, capsys):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    assert main(["list", *folder]) == 1
    assert capsys.readouterr().err.startswith("run.py models list: ")


def test_an_empty_folder_is_none(tmp_path, capsys):
    assert main(["list", "--json", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["list", str(tmp_path)]) == 0
    assert "models get NAME" in capsys.readouterr().out


def test_inspect_tells_all(comfyui, capsys):
    assert main(["inspect", str(comfyui.parent / "elsewhere" / "face.pth")]) == 0
    facts = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    facts = {label.strip(): fact.strip() for label, fact in facts.items()}
    assert facts["kind"] == "faceid-plus-v2"
    assert facts["decided by"].startswith("default")
    assert (facts["base"], facts["fits"].startswith("a UNet")) == ("other", True)
    assert facts["LoRA"] == "inside, rank 128"
    assert facts["precision"] == "F32"
    assert facts["layout"] == f"{len(FACE)} tensors under the published names"


def test_inspect_of_other_files(comfyui, capsys):
    folder = comfyui / "models" / "ipadapter"
    assert main(["inspect", str(folder / "style.safetensors")]) == 0
    assert "is a LoRA" in capsys.readouterr().out
    assert main(["inspect", str(folder / "bad.bin")]) == 1
    assert capsys.readouterr().err.startswith("bad.bin was not read")


def test_convert_writes_beside_the_file(comfyui, capsys):
    file = comfyui.parent / "elsewhere" / "face.pth"
    assert main(["convert", str(file), "--variant", "faceid-plus"]) == 0
    assert "face.safetensors: faceid-plus for other, 4 tokens" in capsys.readouterr().out
    assert main(["inspect", str(file.with_suffix(".safetensors"))]) == 0
    said = capsys.readouterr().out
    assert "decided by     metadata" in said
    assert "ip_adapter_nodes.kind=faceid-plus" in said
    assert main(["convert", str(file)]) == 1
    assert "left as it is" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["list", "--nonsense"], ["inspect"]])
def test_a_wrong_command_line_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: run.py models" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["list", "get", "inspect", "convert"])
def test_help_states_the_exit_status(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert "exit status: 0 fine, 1 an error that is explained, 2" in capsys.readouterr().out


@pytest.mark.parametrize("first", ENDINGS)
@pytest.mark.parametrize("second", ENDINGS)
def test_it_may_be_ended_again_while_it_says_so(monkeypatch, first, second):
    class Errors(io.StringIO):
        def write(self, text):
            signal.raise_signal(second)
            return super().write(text)

    monkeypatch.setattr(listing, "run", lambda options: signal.raise_signal(first))
    monkeypatch.setattr(sys, "stderr", Errors())
    assert main(["list"]) == INTERRUPTED
    assert "Interrupted." in sys.stderr.getvalue()


LIST = """
import sys
sys.path.insert(0, sys.argv[1])
from launcher.bootstrap import main
status = main(["-", "cli.models", "list", "--json", sys.argv[2]])
assert "torch" in sys.modules
assert not sys.modules["torch"].cuda.is_initialized()
assert not {"comfy", "folder_paths", "nodes", "huggingface_hub"} & {name.split(".")[0] for name in sys.modules}
sys.exit(status)
"""


def test_listing_starts_neither_a_host_nor_a_gpu(root, comfyui):
    command = [sys.executable, "-W", "error", "-c", LIST, str(root), str(comfyui / "models")]
    result = subprocess.run(command, cwd=comfyui, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(json.loads(result.stdout)) == 3
