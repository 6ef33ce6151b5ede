import subprocess
from unittest.mock import MagicMock

import pytest
from ip_adapter_nodes.launcher import process


@pytest.mark.parametrize("then", [KeyboardInterrupt, subprocess.TimeoutExpired("child", process.END_TIMEOUT)])
def test_a_child_is_asked_to_end_and_killed_when_it_hangs_or_somebody_insists(monkeypatch, then):
    child = MagicMock()
    child.__enter__.return_value, child.__exit__.return_value = child, False
    child.wait.side_effect = [KeyboardInterrupt, then]
    monkeypatch.setattr(process.subprocess, "Popen", lambda *_, **__: child)
    with pytest.raises(KeyboardInterrupt):
        process.run(["child"])
    assert [name for name, *_ in child.method_calls] == ["wait", "terminate", "wait", "kill"]
