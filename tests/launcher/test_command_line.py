import ast
import shutil
import subprocess
import sys

import pytest
from ip_adapter_nodes.launcher import command_line
from ip_adapter_nodes.launcher.commands import COMMANDS, DEV_COMMANDS, FOR_DEVELOPERS


def test_further_arguments_are_passed_on_as_they_are():
    for line in (["test", "-k", "mask", "--", "x"], ["test", "--", "-k", "mask", "--", "x"]):
        command, _, extra = command_line.parse(line)
        assert (command.name, extra) == ("test", ("-k", "mask", "--", "x"))


def test_own_options_are_read():
    _, options, extra = command_line.parse(["serve", "--port", "8200"])
    assert (options.port, extra) == (8200, ())


def test_the_front_door_shows_what_users_need_first():
    assert [command.name for command in COMMANDS] == ["demo", "serve", "models", "train", "evaluate"]
    assert [command.name for command in FOR_DEVELOPERS] == ["test", "bench"]


def test_the_rest_stands_behind_dev():
    command, options, _ = command_line.parse(["dev", "api", "a.json", "--demo"])
    assert (command.name, options.demo) == ("api", True)
    command, _, extra = command_line.parse(["dev", "demo-measure", "--cases", "4"])
    assert (command.name, extra) == ("demo-measure", ("--cases", "4"))


@pytest.mark.parametrize(
    "line", [["nonsense"], [], ["dev"], ["dev", "demo"], ["texts"], ["demo", "more"], ["serve", "--port", "x"]]
)
def test_a_wrong_command_line_is_refused(line, capsys):
    with pytest.raises(SystemExit) as exit_:
        command_line.parse(line)
    assert exit_.value.code == 2
    assert "usage: run.py" in capsys.readouterr().err


@pytest.fixture
def checkout(root, odd_folder):
    """A copy of what the launcher needs, read-only, in a path nobody should choose."""
    folder = odd_folder / "check out"
    shutil.copytree(root / "launcher", folder / "launcher", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "run.py", folder)
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in everything:
        path.chmod(0o755)


def start(checkout, *arguments):
    command = [sys.executable, str(checkout / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_help_lists_every_command_and_writes_nothing(checkout):
    before = sorted(checkout.rglob("*"))
    result = start(checkout, "--help")
    assert result.returncode == 0, result.stderr
    listed = (*COMMANDS, *FOR_DEVELOPERS)
    assert all(command.name in result.stdout and command.summary in result.stdout for command in listed)
    assert "for developers:" in result.stdout
    assert not any(command.summary in result.stdout for command in DEV_COMMANDS)
    more = start(checkout, "dev", "--help")
    assert all(command.name in more.stdout and command.summary in more.stdout for command in DEV_COMMANDS)
    assert sorted(checkout.rglob("*")) == before


def test_an_error_is_a_message_and_no_traceback(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "nowhere"))
    monkeypatch.setenv("IP_ADAPTER_NODES_CACHE", str(tmp_path / "cache"))
    result = start(checkout, "serve")
    assert result.returncode == 1
    assert "this is no ComfyUI folder" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_launcher_needs_the_standard_library_only(root):
    for path in [root / "run.py", *(root / "launcher").rglob("*.py")]:
        for statement in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(statement, ast.Import):
                names = [alias.name for alias in statement.names]
            elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
                names = [statement.module or ""]
            foreign = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"launcher"}
            assert not foreign, f"{path}: {foreign}"
