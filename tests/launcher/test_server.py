import socket
import sys

import pytest
from ip_adapter_nodes.launcher.client import Picture, PromptFailedError, PromptRejectedError, pictures
from ip_adapter_nodes.launcher.errors import LauncherError
from ip_adapter_nodes.launcher.server import LOOPBACK, Server


@pytest.fixture
def base(odd_folder):
    folder = odd_folder / "base 1"
    folder.mkdir()
    return folder


@pytest.fixture
def server(fake_host, base):
    with Server(sys.executable, fake_host, base, ["--cpu"]) as running:
        yield running


def graph(kind):
    return {"3": {"class_type": kind, "inputs": {}}}


def test_a_prompt_goes_there_and_its_picture_comes_back(server):
    entry = server.run(graph("Fine"))
    assert pictures(entry) == [Picture("9", "a b.png", "sub", "output")]
    assert server.fetch(pictures(entry)[0]) == b"/view?filename=a+b.png&subfolder=sub&type=output"


def test_a_refused_graph_says_which_node_and_why(server):
    with pytest.raises(PromptRejectedError) as error:
        server.queue(graph("Refused"))
    assert "node 3 (Refused): Value not in list: file: 'x' not in []" in str(error.value)
    assert error.value.node_errors["3"]["class_type"] == "Refused"


def test_a_failing_node_is_named(server):
    with pytest.raises(PromptFailedError, match=r"node 3 \(Broken\) raised ValueError: no good"):
        server.run(graph("Broken"))


def test_waiting_reports_and_gives_up(server):
    reports = []
    with pytest.raises(LauncherError, match=r"(?s)no result after 0 s.*still running.*base directory: "):
        server.wait("never-queued", timeout=0.3, report=reports.append)
    assert set(reports) == {"queued"}


def test_stopping_ends_the_process_and_may_be_repeated(server):
    assert server.running
    server.stop()
    server.stop()
    assert not server.running
    with pytest.raises(LauncherError, match="It has ended"):
        server.get("/queue")


def test_a_host_that_dies_shows_its_last_words(fake_host, base):
    server = Server(sys.executable, fake_host, base, ["--fail"])
    with pytest.raises(LauncherError, match=r"(?s)ended before it answered.*told to fail"):
        server.start()


def test_a_port_in_use_is_refused_before_starting(fake_host, base):
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LauncherError, match=f"port {port} is already in use"):
            Server(sys.executable, fake_host, base, port=port).start()


def test_the_samplers_step_is_read_from_the_log(server):
    with server.log.open("a") as log:
        log.write("\r 40%|####      | 8/20 [00:01<00:02]")
    assert server.activity() == "queued"
    server.get = lambda path: {"queue_running": [1]}
    assert server.activity() == "working, step 8 of 20"


def test_a_pack_that_cannot_be_loaded_is_named_with_the_reason(server):
    server.check_packs()
    reason = "Traceback (most recent call last):\n  ...\nImportError: no such thing"
    server.log.write_text(f"Starting\n{reason}\nImport times:\n   0.0 seconds (IMPORT FAILED): /some where/our-pack\n")
    with pytest.raises(LauncherError, match=r"(?s)could not load our-pack\. .*Traceback.*no such thing"):
        server.check_packs()
