import io

import pytest
from ip_adapter_nodes.launcher import browser
from ip_adapter_nodes.launcher.status import Status


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine whose only browser would be one in `tmp_path`."""
    monkeypatch.setattr(browser, "PLACES", {})
    return {"PATH": str(tmp_path)}


def make_program(path):
    path.write_text("#!/bin/sh")
    path.chmod(0o755)
    return str(path)


def test_a_browser_is_found_on_the_path_or_where_one_says(bare, tmp_path):
    assert browser.find_browser(bare) is None
    chosen = make_program(tmp_path / "mine")
    assert browser.find_browser(bare | {"CHROME_PATH": chosen}) == chosen
    assert browser.find_browser(bare | {"CHROME_PATH": "/nowhere/chrome"}) is None


def test_without_one_it_says_how_to_get_one_and_installs_nothing(bare, monkeypatch):
    monkeypatch.setattr(browser, "run", lambda *_, **__: pytest.fail("nothing may be installed"))
    output = io.StringIO()
    assert browser.ensure_browser(Status(output), bare) is None
    assert "install Chromium, Chrome or Edge, or set CHROME_PATH" in output.getvalue()


def test_continuous_integration_installs_one(bare, monkeypatch, tmp_path):
    commands = []

    def run(command, environment):
        commands.append(command[:2])
        monkeypatch.setattr(browser, "find_browser", lambda _: "/usr/bin/chromium")

    monkeypatch.setattr(browser, "run", run)
    monkeypatch.setattr(browser, "_may_install", lambda environment: environment.get("CI") == "true")
    assert browser.ensure_browser(Status(io.StringIO()), bare | {"CI": "true"}) == "/usr/bin/chromium"
    assert commands == [["apt-get", "update"], ["apt-get", "install"]]
