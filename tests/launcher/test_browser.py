import io

import pytest
from ip_adapter_nodes.launcher import browser
from ip_adapter_nodes.launcher.errors import LauncherError
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


def never(*_, **__):
    pytest.fail("nothing may be installed")


@pytest.fixture
def status():
    return Status(io.StringIO())


def test_a_person_without_one_goes_on_without(bare, monkeypatch, status):
    monkeypatch.setattr(browser, "run", never)
    assert browser.ensure_browser(status, environment=bare) is None


@pytest.mark.parametrize("given", [{"CI": "true"}, {"CI": "1"}])
def test_continuous_integration_installs_one(bare, monkeypatch, status, given):
    assert installed(monkeypatch, status, bare | given, wanted=False)


def test_so_does_who_asks_for_it(bare, monkeypatch, status):
    assert installed(monkeypatch, status, bare, wanted=True)


def installed(monkeypatch, status, environment, wanted):
    commands = []

    def run(command, environment):
        commands.append(command[:2])
        monkeypatch.setattr(browser, "find_browser", lambda _: "/usr/bin/chromium")

    monkeypatch.setattr(browser, "run", run)
    monkeypatch.setattr(browser, "_may_install", lambda: True)
    found = browser.ensure_browser(status, wanted, environment)
    return found == "/usr/bin/chromium" and commands == [["apt-get", "update"], ["apt-get", "install"]]


@pytest.mark.parametrize(("given", "wanted"), [({"CI": "true"}, False), ({}, True)])
def test_where_none_can_be_had_it_fails_and_says_the_command(bare, monkeypatch, status, given, wanted):
    monkeypatch.setattr(browser, "run", never)
    monkeypatch.setattr(browser, "_may_install", lambda: False)
    with pytest.raises(LauncherError, match=r"run\.py test --with-browser.*install Chromium, Chrome or Edge, or set"):
        browser.ensure_browser(status, wanted, bare | given)


def test_an_installation_that_brings_none_fails(bare, monkeypatch, status):
    monkeypatch.setattr(browser, "run", lambda *_, **__: 1)
    monkeypatch.setattr(browser, "_may_install", lambda: True)
    with pytest.raises(LauncherError, match="there is none"):
        browser.ensure_browser(status, environment=bare | {"CI": "true"})


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_what_counts_as_continuous_integration(value, expected):
    assert browser.in_ci({"CI": value}) is expected
    assert browser.in_ci({}) is False
