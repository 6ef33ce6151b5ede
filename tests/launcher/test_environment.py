import io

import pytest
from ip_adapter_nodes.launcher import environment
from ip_adapter_nodes.launcher.errors import LauncherError
from ip_adapter_nodes.launcher.process import CommandFailedError
from ip_adapter_nodes.launcher.status import Status


@pytest.fixture
def pip(monkeypatch):
    """Replaces every child program; records the commands, and fails where a word of them is in `broken`."""

    class Pip:
        def __init__(self):
            self.commands = []
            self.broken = None

        def __call__(self, command, log, status, label, describe=str):
            line = " ".join(command)
            if self.broken and self.broken in line:
                raise CommandFailedError(1, "no network")
            self.commands.append(line)
            if "-m venv" in line:
                python = environment.interpreter(type(log)(command[-1]))
                python.parent.mkdir(parents=True)
                python.touch()

    fake = Pip()
    monkeypatch.setattr(environment, "run_quietly", fake)
    monkeypatch.setattr(environment, "_starts", lambda python: python.is_file())
    return fake


def quiet() -> Status:
    return Status(io.StringIO())


def test_the_key_follows_the_requirement_lists(tmp_path):
    (tmp_path / "a.txt").write_text("torch==1\nnumpy==2\n")
    key = environment.environment_key(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"torch==1\r\nnumpy==2\r\n")
    assert environment.environment_key(tmp_path) == key, "line endings are no difference"
    (tmp_path / "a.txt").write_text("torch==1\nnumpy==3\n")
    assert environment.environment_key(tmp_path) != key


def test_the_key_follows_the_python_version(monkeypatch):
    key = environment.environment_key()
    monkeypatch.setattr(environment.platform, "python_version", lambda: "3.10.99")
    assert environment.environment_key() != key


def test_stages_are_installed_once(tmp_path, pip):
    first = environment.ensure_environment(tmp_path, environment.TO_RUN, quiet())
    done = list(pip.commands)
    assert [word in line for word, line in zip(["venv", "pip==", "torch.txt", "host.txt"], done, strict=True)] == [
        True
    ] * 4
    assert environment.ensure_environment(tmp_path, environment.TO_RUN, quiet()) == first
    assert pip.commands == done


def test_checks_are_a_stage_on_top(tmp_path, pip):
    environment.ensure_environment(tmp_path, environment.TO_RUN, quiet())
    before = len(pip.commands)
    environment.ensure_environment(tmp_path, environment.TO_CHECK, quiet())
    assert len(pip.commands) == before + 2
    assert "checks.txt" in pip.commands[-2]
    assert "--no-deps" in pip.commands[-1]
    assert "faces.txt" in pip.commands[-1]


def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path, pip):
    pip.broken = "host.txt"
    with pytest.raises(LauncherError, match=r"(?s)no network.*run the same command again"):
        environment.ensure_environment(tmp_path, environment.TO_RUN, quiet())
    before = len(pip.commands)
    pip.broken = None
    environment.ensure_environment(tmp_path, environment.TO_RUN, quiet())
    assert len(pip.commands) == before + 1


def test_an_environment_whose_python_is_gone_is_made_again(tmp_path, pip):
    python = environment.ensure_environment(tmp_path, environment.TO_RUN, quiet())
    count = len(pip.commands)
    environment.Path(python).unlink()
    environment.ensure_environment(tmp_path, environment.TO_RUN, quiet())
    assert len(pip.commands) == 2 * count


def test_a_failing_venv_names_the_debian_package(tmp_path, pip):
    pip.broken = "-m venv"
    with pytest.raises(LauncherError, match="python3-venv"):
        environment.ensure_environment(tmp_path, environment.TO_RUN, quiet())


def test_every_requirement_is_pinned():
    for path in environment.REQUIREMENTS.glob("*.txt"):
        lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        assert lines
        assert [line for line in lines if "==" not in line.split(";")[0]] == []
