"""docs/troubleshooting.md names every error class of the pack, and quotes messages as the code raises them."""

import ast
import re
from collections import defaultdict

import pytest

HEADING = re.compile(r"^## (\w+Error)$", re.MULTILINE)
QUOTED = re.compile(r"^- `(.+?)`", re.MULTILINE)
GAP = "…"


@pytest.fixture(scope="module")
def sources(root):
    return [
        ast.parse(path.read_text("utf-8"))
        for room in ("ip_adapter", "cli")
        for path in sorted((root / room).rglob("*.py"))
    ]


@pytest.fixture(scope="module")
def classes(sources):
    """AdapterError and everything derived from it, wherever it is defined."""
    parents = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in sources
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    known = {"AdapterError"}
    while more := {name for name, bases in parents.items() if bases & known} - known:
        known |= more
    return known


@pytest.fixture(scope="module")
def sections(root):
    """The text below each heading that is a class."""
    parts = HEADING.split((root / "docs" / "troubleshooting.md").read_text("utf-8"))
    return {name: text.split("\n## ")[0] for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def words(node):
    """The fixed words of a message with a gap for each value; of one that is made elsewhere, nothing."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(map(words, node.values)) if isinstance(node, ast.JoinedStr) else GAP


@pytest.fixture(scope="module")
def raised(sources, classes):
    """Every message by its class."""
    found = defaultdict(list)
    for tree in sources:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes and node.args:
                found[node.func.id].append(words(node.args[0]))
    return found


def test_every_class_has_an_entry_and_every_entry_a_class(sections, classes):
    assert set(sections) == classes


def test_messages_are_quoted_as_they_are_raised(sections, raised):
    quotes = [(name, quote) for name, text in sections.items() for quote in QUOTED.findall(text)]
    assert len(quotes) > 40
    assert [(name, quote) for name, quote in quotes if not any(says(real, quote) for real in raised[name])] == []


def says(message, quote):
    """Whether the words of a quotation stand in a message, one after the other."""
    pattern = ".*".join(re.escape(part.strip(" .")) for part in quote.split(GAP))
    return re.search(pattern, message, re.DOTALL) is not None


def test_a_message_that_was_changed_would_be_found():
    assert says("… needs … of …, but this one", "… needs …, but this")
    assert not says("… needs … of …, but this one", "… wants …, but this")
