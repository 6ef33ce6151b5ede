import io

from ip_adapter_nodes.launcher import status
from ip_adapter_nodes.launcher.pip_report import PipReport


def test_without_a_terminal_the_moving_line_is_printed_now_and_then(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    line = status.Status(stream)
    for _ in range(25):
        now[0] += 1
        line.show(f"at {now[0]:.0f}")
    assert stream.getvalue().split() == ["...", "at", "110", "...", "at", "120"]


def test_on_a_terminal_it_is_redrawn_and_wiped(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    stream.isatty = lambda: True
    line = status.Status(stream)
    now[0] += 1
    line.show("working")
    line.say("done")
    assert stream.getvalue() == "working\r       \rdone\n"


def test_pips_output_becomes_a_few_words():
    report = PipReport()
    assert report("Collecting torch==2.11.0 (from -r torch.txt (line 2))") == "looking for torch==2.11.0"
    assert report("  Downloading torch-2.11.0-cp311.whl (530.2 MB)") == "downloading torch-2.11.0-cp311.whl"
    assert report("Progress 265000000 of 530000000") == "downloading torch-2.11.0-cp311.whl, 265 of 530 MB"
    assert report("Installing collected packages: a, b, c") == "installing 3 packages"
    assert report("WARNING: something") == ""
