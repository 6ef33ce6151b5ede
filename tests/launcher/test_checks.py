from ip_adapter_nodes.launcher.commands import checks


def test_pytest_gets_all_tests_unless_some_are_named(root):
    assert checks.tests(root, ["-k", "launcher"]).arguments[-3:] == (str(root / "tests"), "-k", "launcher")
    named = checks.tests(root, ["tests/launcher/test_lock.py::test_a", "-x"]).arguments
    assert named[-2:] == (str(root / "tests/launcher/test_lock.py::test_a"), "-x")
    assert str(root / "tests") not in named
